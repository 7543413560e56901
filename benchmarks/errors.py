"""What can go wrong with a contender. It is reported in its place in the tables, and the run goes on."""


class ContenderError(Exception):
    """The message says what happened, as the end of a sentence that begins with the contender's name."""


class Unavailable(ContenderError):
    """It cannot take part."""


class Failed(ContenderError):
    """It, or its worker, raised an error."""


class TooSlow(ContenderError):
    """It did not end within the time limit."""
