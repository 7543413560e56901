"""What is measured, in this order: a run that has no time left has measured the first ones."""

from benchmarks.workloads.base import DEFAULT, QUICK, Column, Measurement, Size, Workload
from benchmarks.workloads.costs import Idle, PerFunction
from benchmarks.workloads.drain import (
    DrainActionsInsert,
    DrainActionsNoop,
    DrainInsert,
    DrainInsertTwice,
    DrainNoop,
    DrainNoopTwice,
    DrainSQL,
)
from benchmarks.workloads.future import Future
from benchmarks.workloads.kill import Kill
from benchmarks.workloads.latency import Latency, Lateness
from benchmarks.workloads.memory import Memory
from benchmarks.workloads.queues import Queues
from benchmarks.workloads.schedule import Schedule, ScheduleMany
from benchmarks.workloads.snapshot import HeldSnapshot

__all__ = ["DEFAULT", "QUICK", "WORKLOADS", "Column", "Measurement", "Size", "Workload"]

WORKLOADS: tuple[Workload, ...] = (
    DrainInsert(),
    DrainInsertTwice(),
    DrainNoop(),
    DrainNoopTwice(),
    DrainSQL(),
    DrainActionsNoop(),
    DrainActionsInsert(),
    Latency(),
    Lateness(),
    Kill(),
    Schedule(),
    ScheduleMany(),
    PerFunction(),
    Idle(),
    Queues(),
    HeldSnapshot(),
    Future(),
    Memory(),
)
