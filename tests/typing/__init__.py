"""What type checkers accept and what they reject. Nothing here is run: mypy and pyright read it in ``make check``.

A call that must be rejected bears the ignore comment of each of them. Both report an ignore comment that
hides nothing, so such a call is an error as soon as either of them accepts it.

Here no stub of a project is known, as for who has not written one. ``project/`` has one: ``shop/mistakes.py`` has the
calls that must be rejected with it, and ``shop/calls.py`` those that must not. ``payments/`` has both, in modules that
mypy looks at before the package unless the package sees to it.
"""
