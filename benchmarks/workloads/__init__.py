"""What is measured, in this order: a run that has no time left has measured the first ones."""

from benchmarks.workloads.base import DEFAULT, QUICK, Column, Measurement, Size, Workload
from benchmarks.workloads.drain import DrainInsert, DrainInsertTwice, DrainNoop, DrainNoopTwice

__all__ = ["DEFAULT", "QUICK", "WORKLOADS", "Column", "Measurement", "Size", "Workload"]

WORKLOADS: tuple[Workload, ...] = (DrainInsert(), DrainInsertTwice(), DrainNoop(), DrainNoopTwice())
