"""How long a body works that is to be killed in the middle."""

#: In seconds.
WORK = 0.02
