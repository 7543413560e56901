"""A small real shop: what the demo shows, and what the tests run in."""
