"""One file per contender: its header (see ``benchmarks/header.py``), its functions, and how they are scheduled."""
