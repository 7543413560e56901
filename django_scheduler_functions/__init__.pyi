# mypy: ignore-errors
# pyright: basic
# ruff: noqa
# ruff: noqa: PGH004
# fmt: off
# isort: skip_file
"""What type checkers know of the references and names of functions, of which none are known here."""

from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from typing import (
    TYPE_CHECKING, Any, Literal, Never, NotRequired, ParamSpec, Protocol, TypeAlias, TypedDict, TypeVar, overload
)

from django_scheduler import BatchOutcome, Context, Outcome
from django_scheduler.crons.schedules import Schedule
from django_scheduler.functions import (
    Action, ActionOf, AnyReference, Function, FunctionOf, IsAction, IsMutation, Mutation, MutationOf, NotGiven,
    Reference,
)
from django_scheduler.scheduling.options import CallKey, Existing, Told

P = ParamSpec("P")
R = TypeVar("R")
When = TypeVar("When", contravariant=True)
Result = TypeVar("Result", covariant=True)

FunctionName: TypeAlias = str
CallbackName: TypeAlias = str
BatchCallbackName: TypeAlias = str

class Schedules(Protocol[When, Result]):
    @overload
    def __call__(self, when: When, function: Function[P, Any] | Reference[FunctionOf[P, Any]], /, *args: P.args, **kwargs: P.kwargs) -> Result: ...
    @overload
    def __call__(self, when: When, function: str, /, *args: Any, **kwargs: Any) -> Result: ...

class SchedulesMany(Protocol[When, Result]):
    def __call__(self, when: When, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /) -> Result: ...

class RegistersCron(Protocol[Result]):
    @overload
    def __call__(self, name: str, schedule: Schedule, function: Function[P, Any] | Reference[FunctionOf[P, Any]], /, *args: P.args, **kwargs: P.kwargs) -> Result: ...
    @overload
    def __call__(self, name: str, schedule: Schedule, function: str, /, *args: Any, **kwargs: Any) -> Result: ...

class RunsMutation(Protocol):
    @overload
    def __call__(self, function: Mutation[P, R] | Reference[MutationOf[P, R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> Any: ...

class RunsMutationAsync(Protocol):
    @overload
    def __call__(self, function: Mutation[P, R] | Reference[MutationOf[P, R]], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
    @overload
    def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]: ...

class RunsAction(Protocol):
    @overload
    def __call__(self, function: Action[P, Coroutine[Any, Any, R]] | Reference[ActionOf[P, Coroutine[Any, Any, R]]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, function: Action[P, R] | Reference[ActionOf[P, R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> Any: ...

class RunsActionAsync(Protocol):
    @overload
    def __call__(self, function: Action[P, Coroutine[Any, Any, R]] | Reference[ActionOf[P, Coroutine[Any, Any, R]]], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
    @overload
    def __call__(self, function: Action[P, R] | Reference[ActionOf[P, R]], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
    @overload
    def __call__(self, function: str, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]: ...

class TakesOptions(Protocol[Result]):
    def __call__(self, *, queue: str | NotGiven = ..., priority: int | NotGiven = ..., expires: timedelta | datetime | NotGiven | None = ..., key: CallKey | NotGiven | None = ..., existing: Existing | NotGiven = ..., max_wait: timedelta | NotGiven | None = ..., on_complete: tuple[AnyReference, Mapping[str, Any]] | Told[Outcome] | CallbackName | NotGiven | None = ..., on_failure: tuple[AnyReference, Mapping[str, Any]] | Told[Outcome] | CallbackName | NotGiven | None = ...) -> Result: ...

class OpensBatch(Protocol[Result]):
    def __call__(self, *, on_complete: tuple[AnyReference, Mapping[str, Any]] | Told[BatchOutcome] | BatchCallbackName | None = ...) -> Result: ...

class CancelsAll(Protocol[Result]):
    def __call__(self, function: AnyReference | None = ..., *, start: datetime | float | None = ..., end: datetime | float | None = ..., batch: int | None = ..., everything: bool = ..., args: Mapping[str, Any] | None = ...) -> Result: ...

class _App:
    def __getattr__(self, name: str) -> Reference[Any]: ...

class _Apps:
    def __getattr__(self, app_label: str) -> _App: ...

api: _Apps
internal: _Apps
