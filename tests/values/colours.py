"""A module of an app that nobody has loaded before a value names it."""

from enum import Enum


class Colour(Enum):
    RED = 1
