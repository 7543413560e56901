"""A small Django project, the same for every contender: its business, and what the bodies do."""
