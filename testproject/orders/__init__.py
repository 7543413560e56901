"""Orders: placed, paid, confirmed, delivered and archived."""
