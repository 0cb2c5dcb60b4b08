"""Watching a function that predicts: its calls are logged, and it behaves as it did."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from driftgauge.client.monitor import Monitor

COROUTINE: Final = 0x80
"""Flag of the code of an `async def` (inspect.CO_COROUTINE)."""

Function = TypeVar("Function", bound=Callable[..., Any])
Pick = Callable[..., Any]


def watched(
    monitor: "Monitor", function: Function, features: Pick | None, prediction: Pick | None
) -> Function:
    """Return a function that logs each call.

    Parameters
    ----------
    features
        Function of the call's arguments that returns the features; the first argument if None.
    prediction
        Function of the result that returns the prediction; the result itself if None.
    """
    pick = _first if features is None else features
    made = _same if prediction is None else prediction

    def note(begun: float, args: tuple[Any, ...], more: dict[str, Any], result: Any) -> None:
        latency_ms = (time.perf_counter() - begun) * 1000
        try:
            log_all(monitor, pick(*args, **more), made(result), latency_ms)
        except Exception as error:  # noqa: BLE001  the call went well, and its caller has its result
            monitor.give_up(error)

    def fail(args: tuple[Any, ...], more: dict[str, Any], error: BaseException) -> None:
        try:
            found = pick(*args, **more)
        except Exception:  # noqa: BLE001  then it is told without features
            found = {}
        for row in _rows(found):
            monitor.failed(row, error)

    @functools.wraps(function)
    def call(*args: Any, **more: Any) -> Any:
        begun = time.perf_counter()
        try:
            result = function(*args, **more)
        except Exception as error:
            fail(args, more, error)
            raise
        note(begun, args, more, result)
        return result

    @functools.wraps(function)
    async def acall(*args: Any, **more: Any) -> Any:
        begun = time.perf_counter()
        try:
            result = await function(*args, **more)
        except Exception as error:
            fail(args, more, error)
            raise
        note(begun, args, more, result)
        return result

    code = getattr(function, "__code__", None)
    is_async = code is not None and bool(code.co_flags & COROUTINE)
    return cast("Function", acall if is_async else call)


def log_all(monitor: "Monitor", features: Any, prediction: Any, latency_ms: float) -> None:
    """Log one prediction, or that of each row if the features are rows."""
    if is_one(features):
        monitor.log(features, prediction, latency_ms=latency_ms)
        return
    from driftgauge.client.frames import rows_of

    rows = list(rows_of(features))
    predictions = list(getattr(prediction, "tolist", lambda: prediction)())
    if len(rows) != len(predictions):
        raise ValueError(f"{len(rows)} rows have {len(predictions)} predictions")
    for row, one in zip(rows, predictions, strict=True):
        monitor.log(row, one, latency_ms=latency_ms)


def is_one(features: Any) -> bool:
    """Tell whether features are those of one prediction, and no rows.

    >>> is_one({"x": 1}), is_one([{"x": 1}])
    (True, False)
    """
    single = isinstance(features, Mapping) or hasattr(features, "model_dump")
    frame = any(hasattr(features, name) for name in ("iter_slices", "to_batches"))
    return single or not (frame or getattr(features, "ndim", 0) == 2 or isinstance(features, list))


def _rows(features: Any) -> list[Any]:
    if is_one(features):
        return [features]
    from driftgauge.client.frames import rows_of

    return list(rows_of(features))


def _first(*args: Any, **more: Any) -> Any:
    return args[0] if args else next(iter(more.values()))


def _same(result: Any) -> Any:
    return result
