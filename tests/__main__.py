"""Run the suite on each database: see ``support/databases.py``."""

from tests.support.databases import run_from_command_line

run_from_command_line()
