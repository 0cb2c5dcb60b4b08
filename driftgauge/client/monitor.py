"""The monitor: what an application calls."""

import atexit
import itertools
import os
import sys
import threading
import time as clock
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from zlib import crc32

from driftgauge.client.encoding import (
    Unserialisable,
    event_json,
    mapping,
    milliseconds,
    taken_down,
    text_id,
)
from driftgauge.client.memory import Memory
from driftgauge.client.sender import Lane, Sender
from driftgauge.client.spool import Spool
from driftgauge.client.stats import Stats
from driftgauge.client.tracing import traceparent as current_span
from driftgauge.client.unit import EVENT, LABEL, MOST

LONGEST_KIND: Final = 64
"""Most characters of an error's kind."""
FLUSH_S: Final = 2.0
"""Longest time that the end of the process is put off for what waits."""

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from driftgauge.client.frames import Column
    from driftgauge.client.watching import Function, Pick

Logged = TypeVar("Logged")

_living: "weakref.WeakSet[Monitor]" = weakref.WeakSet()


class Monitor:
    """Logs the predictions of one model to Driftgauge's API.

    No method raises for what is logged, and none waits for the network: what cannot be logged is
    counted in `stats`, and told to the log `driftgauge.client` once a minute. A process that forks
    (gunicorn, Celery) may make it before: each process has its own queue and thread.

    Parameters
    ----------
    url
        Address of the API.
    model
        Name of the model, as it is registered.
    key
        API key with the scopes `predict` and `label`.
    version
        Version of the model that predicts; without it the API takes the one in production.
    spool
        Folder on a local disk. What is logged is written there first, and sent later if the API
        cannot be reached, also by the next process; without it the memory holds it.
    queue_events
        Most events that wait in memory; further ones are dropped, and counted.
    spool_bytes
        Most bytes that the spool of one process takes; then events wait in memory.
    timeout_s
        Longest wait for an answer of the API, in seconds.

    Raises
    ------
    ValueError
        If the address is none, or the spool is no folder that this system can lock.

    Examples
    --------
    >>> monitor = Monitor("http://localhost:8000", "steel")
    >>> monitor.log({"x": object()}, 41.7, id="a")  # it costs this event alone
    'a'
    >>> monitor.stats["dropped"]
    {'unserialisable': 1}
    >>> monitor.close()
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None = None,
        version: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        *,
        queue_events: int = 20_000,
        spool_bytes: int = 256 << 20,
        timeout_s: float = 10.0,
    ) -> None:
        if spool is not None and sys.platform == "win32":
            raise ValueError("a spool needs a system that locks files by flock")
        self._url, self.model, self._key, self._version = url, model, key, version
        self._folder = None if spool is None else os.path.abspath(spool)
        self._queue_events, self._spool_bytes = queue_events, spool_bytes
        self._timeout_s = timeout_s
        self._closed = False
        self._begin()
        _living.add(self)

    def _begin(self) -> None:
        """Make what belongs to one process alone. All that takes long to import is imported here:
        a process that forked while a thread imports would be left with a part of it.
        """
        from driftgauge.client.connection import Connection

        self._lock = threading.Lock()
        self._connection = Connection(self._url, self.model, self._key, self._timeout_s)
        self._stats = Stats()
        self._memory = Memory(self._queue_events, self._fail)
        folder = self._folder
        self._spool = None if folder is None else Spool(folder, self.model, self._spool_bytes)
        self._sender: Sender | None = None
        self._prefix = os.urandom(8).hex()
        self._count: Iterator[int] = itertools.count(1)

    # -- logging -----------------------------------------------------------------------------------

    def log(
        self,
        features: object,
        prediction: object,
        probabilities: object = None,
        id: object = None,  # noqa: A002  the word of the API
        time: object = None,
        latency_ms: float | None = None,
        traceparent: str | None = None,
    ) -> str:
        """Log a prediction.

        Parameters
        ----------
        features
            Names and values, as the model's schema has them.
        prediction
            What the model said: a number or a class.
        probabilities
            Those of the schema's classes, in their order.
        id
            Id of the application; one that comes again within an hour is counted once.
        time
            When it was made: a `datetime`, Unix milliseconds, or ISO 8601; now if not told.
        latency_ms
            How long it took, in milliseconds.
        traceparent
            The span in which it was made (W3C trace context); if not told, the current span of
            OpenTelemetry, if the application traces itself and the trace is kept.

        Returns
        -------
        str
            The id, by which `label` tells the true value.
        """
        return self._log(
            {
                "features": features,
                "prediction": prediction,
                "probabilities": probabilities,
                "latency_ms": latency_ms,
                "traceparent": current_span() if traceparent is None else traceparent,
            },
            id,
            time,
        )

    def label(self, id: object, value: object, time: object = None) -> None:  # noqa: A002
        """Log the true value of a prediction.

        Parameters
        ----------
        id
            What `log` returned.
        value
            The true value, of the kind that the model predicts.
        time
            When it became known; now if not told.
        """
        try:
            moment = clock.time_ns() // 1_000_000 if time is None else milliseconds(time)
            named = text_id(id)
            self._put(LABEL, named, {"prediction_id": named, "label": value, "time": moment})
        except Exception as error:  # noqa: BLE001  it costs this label alone
            self._fail(error)

    def failed(
        self,
        features: object,
        error: object,
        id: object = None,  # noqa: A002
        time: object = None,
        latency_ms: float | None = None,
    ) -> str:
        """Log a prediction that failed: it is counted, and judged as a rate.

        Parameters
        ----------
        features
            What was known of them; `{}` if nothing was.
        error
            The exception, or a text; only its kind is sent, such as `ValueError`, since a message
            may hold values.

        Returns
        -------
        str
            Its id.
        """
        kind = type(error).__name__ if isinstance(error, BaseException) else str(error)
        return self._log(
            {"features": features, "error": kind[:LONGEST_KIND], "latency_ms": latency_ms}, id, time
        )

    def watch(
        self,
        function: "Function | None" = None,
        *,
        features: "Pick | None" = None,
        prediction: "Pick | None" = None,
    ) -> Any:
        """Watch a function that predicts, as a decorator: each call is logged with its latency, and
        as failed if it raises. Its result, or its error, is what it was. It may be `async`.

        Parameters
        ----------
        features
            Function of the call's arguments that returns the features of the prediction, or rows
            of them; by itself the first argument.
        prediction
            Function of the result that returns the prediction, or that of each row; by itself the
            result.

        Examples
        --------
        >>> monitor = Monitor("http://127.0.0.1:9", "steel")
        >>> @monitor.watch
        ... def predict(features: dict[str, float]) -> float:
        ...     return 2 * features["x"]
        >>> predict({"x": 1.5})
        3.0
        >>> monitor.stats["logged"]
        1
        >>> monitor.close(0)
        """
        from driftgauge.client.watching import watched

        if function is None:
            return lambda one: watched(self, one, features, prediction)
        return watched(self, function, features, prediction)

    # -- tables ------------------------------------------------------------------------------------

    def log_frame(
        self,
        frame: object,
        prediction: "Column",
        *,
        id: "Column" = None,  # noqa: A002
        time: "Column" = None,
        features: "Sequence[str] | None" = None,
        progress: "bool | Callable[[int, int | None], object]" = False,
        wait_s: float = 300.0,
    ) -> list[str]:
        """Log the predictions of a table, as a batch job makes them.

        Unlike `log` it waits: for room in the queue, and without a spool until all is with the API.

        Parameters
        ----------
        frame
            A frame of pandas or polars, a table of pyarrow, or an iterable of mappings.
        prediction, id, time
            Name of the column, or the values in the order of the rows.
        features
            Columns that are features; all others by itself.
        progress
            True tells each second on standard error how far it is; a function is called with the
            rows that are done, and with all of them, None if unknown.
        wait_s
            Longest time that it waits for the API, in all; what finds no room then is dropped, and
            counted.

        Returns
        -------
        list of str
            The id of each row.
        """
        from driftgauge.client.frames import Columns

        columns = Columns({"prediction": prediction, "id": id, "time": time})
        wanted = None if features is None else set(features)

        def log(row: "Mapping[str, Any]", place: int) -> str:
            own, found = columns.split(row, place)
            if wanted is not None:
                own = {name: value for name, value in own.items() if name in wanted}
            return self.log(own, found.pop("prediction"), **found)

        return self._all(frame, log, progress, wait_s)

    def label_frame(
        self,
        frame: object,
        id: "Column",  # noqa: A002
        label: "Column",
        *,
        time: "Column" = None,
        progress: "bool | Callable[[int, int | None], object]" = False,
        wait_s: float = 300.0,
    ) -> int:
        """Log the true values of a table; parameters as of `log_frame`. Returns the rows."""
        from driftgauge.client.frames import Columns

        columns = Columns({"id": id, "value": label, "time": time})

        def log(row: "Mapping[str, Any]", place: int) -> None:
            self.label(**columns.split(row, place)[1])

        return len(self._all(frame, log, progress, wait_s))

    def _all(
        self,
        frame: object,
        log: "Callable[[Mapping[str, Any], int], Logged]",
        progress: "bool | Callable[[int, int | None], object]",
        wait_s: float,
    ) -> "list[Logged]":
        """Log each row of a table, as fast as the API takes them."""
        from driftgauge.client.frames import Progress, rows_of, size_of

        told = Progress(progress, size_of(frame))
        done: list[Logged] = []
        until = clock.monotonic() + wait_s
        for place, row in enumerate(rows_of(frame)):
            while self._memory.full and clock.monotonic() < until and not self._closed:
                clock.sleep(0.01)
            done.append(log(row, place))
            told.reach(len(done))
        if self._spool is None:
            self.flush(until - clock.monotonic())
        told.reach(len(done), end=True)
        return done

    def give_up(self, error: Exception) -> None:
        """Count an event that could not be logged, and why: for what stands between an application
        and its monitor.
        """
        self._fail(error)

    def _log(self, content: dict[str, object], given: object, time: object) -> str:
        named = f"{self._prefix}-{next(self._count):x}"
        try:
            if given is not None:
                named = text_id(given)
                content["own_id"] = True
            content["features"] = mapping(content["features"])
            content["id"] = named
            content["time"] = clock.time_ns() // 1_000_000 if time is None else milliseconds(time)
            if self._version is not None:
                content["version"] = self._version
            self._put(EVENT, named, content)
        except Exception as error:  # noqa: BLE001  it costs this event alone
            self._fail(error)
        return named

    def _put(self, kind: bytes, named: str, content: dict[str, object]) -> None:
        spool = self._spool
        payload = None if spool is None else event_json(content)
        waiting = payload or taken_down(content)
        crc = crc32(named.encode("utf-8", "surrogatepass"))
        stats = self._stats
        if self._closed:
            stats.drop("closed")
            return
        if self._sender is None:
            self._start()
        if spool is None or payload is None or not spool.put(kind, crc, payload):
            stats.unspooled += spool is not None
            if not self._memory.put(kind, crc, waiting):
                stats.drop("queue_full")
                return
        stats.logged += 1
        if stats.logged % MOST == 0 and self._sender is not None:
            self._sender.wake.set()

    def _fail(self, error: Exception) -> None:
        known = isinstance(error, Unserialisable | TypeError | ValueError)
        self._stats.drop("unserialisable" if known else "failed")
        self._stats.last_error = f"{type(error).__name__}: {error}"

    # -- life --------------------------------------------------------------------------------------

    @property
    def stats(self) -> dict[str, object]:
        """What became of what this process logged (`Stats`), and what waits."""
        spooled = 0 if self._spool is None else self._spool.size
        return self._stats.shown(len(self._memory), spooled)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until all that was logged is with the API; return whether it is."""
        until = clock.monotonic() + timeout_s
        while self._waits():
            if self._sender is not None:
                self._sender.wake.set()
            if clock.monotonic() >= until or self._closed:
                return False
            clock.sleep(0.01)
        return True

    def close(self, timeout_s: float = FLUSH_S) -> None:
        """Send what waits, for so many seconds at most, and stop. What is spooled is sent by the
        next process; what is only in memory is lost then, and counted.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._sender is not None:
            self._sender.close(timeout_s)
        if len(self._memory):
            self._stats.drop("not_sent", len(self._memory))
        if self._spool is not None:
            self._spool.close()
        self._stats.tell(self.model, now=True)
        _living.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _waits(self) -> bool:
        return bool(len(self._memory) or (self._spool is not None and self._spool.waits))

    def _start(self) -> None:
        """Start the thread of this process, at the first event."""
        with self._lock:
            if self._sender is not None or self._closed:
                return
            lanes: list[Lane] = (
                [self._memory] if self._spool is None else [self._spool, self._memory]
            )
            self._sender = Sender(self._connection, lanes, self._stats, self._keep_house)
        _at_exit_of_children(self)

    def _keep_house(self) -> None:
        if self._spool is not None:
            self._spool.sync()
            self._spool.adopt()
        self._stats.tell(self.model)

    def _after_fork(self) -> None:
        """Leave to the parent what is the parent's."""
        self._connection.close()
        if self._spool is not None:
            self._spool.close(keep=True)
        self._begin()


def _at_exit_of_children(monitor: Monitor) -> None:
    """Close a monitor at the end of a process of multiprocessing or billiard (Celery), which does
    not run `atexit`.
    """
    for name in ("multiprocessing.util", "billiard.util"):
        module = sys.modules.get(name)
        if module is not None:
            module.Finalize(None, _close, (weakref.ref(monitor),), exitpriority=10)


def _close(reference: "weakref.ref[Monitor]") -> None:
    found = reference()
    if found is not None:
        found.close()


def _close_all() -> None:
    """Close all monitors, together within `FLUSH_S`."""
    until = clock.monotonic() + FLUSH_S
    for monitor in list(_living):
        monitor.close(max(0.1, until - clock.monotonic()))


def _forked() -> None:
    for monitor in list(_living):
        monitor._after_fork()  # noqa: SLF001  of the same module


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
