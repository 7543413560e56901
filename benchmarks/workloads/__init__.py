"""What is measured, in this order: a run that has no time left has measured the first ones."""

from benchmarks.workloads.base import DEFAULT, QUICK, Column, Measurement, Size, Workload
from benchmarks.workloads.costs import Idle, PerFunction
from benchmarks.workloads.drain import DrainInsert, DrainInsertTwice, DrainNoop, DrainNoopTwice
from benchmarks.workloads.future import Future
from benchmarks.workloads.kill import Kill
from benchmarks.workloads.latency import Latency, Lateness
from benchmarks.workloads.schedule import Schedule, ScheduleMany

__all__ = ["DEFAULT", "QUICK", "WORKLOADS", "Column", "Measurement", "Size", "Workload"]

WORKLOADS: tuple[Workload, ...] = (
    DrainInsert(),
    DrainInsertTwice(),
    DrainNoop(),
    DrainNoopTwice(),
    Latency(),
    Lateness(),
    Kill(),
    Schedule(),
    ScheduleMany(),
    PerFunction(),
    Idle(),
    Future(),
)
