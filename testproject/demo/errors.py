"""What goes wrong around the demo, in words for who runs it."""


class DemoError(Exception):
    """The demo cannot go on."""
