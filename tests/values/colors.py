"""A module of an app that nobody has loaded before a value names it."""

from enum import Enum


class Color(Enum):
    RED = 1
