"""Nothing. At run time nobody imports this module: what type checkers read is the stub beside this file.

The command ``manage.py scheduler_stubs`` of ``django_scheduler`` writes another stub of the same name into a project.
"""
