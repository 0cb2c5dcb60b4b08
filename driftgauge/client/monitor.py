"""The monitor: what an application calls."""

import atexit
import itertools
import os
import sys
import threading
import time as clock
import weakref
from collections.abc import Iterator
from typing import Final, Self
from zlib import crc32

from driftgauge.client.encoding import Unserialisable, encode, mapping, milliseconds, text_id
from driftgauge.client.memory import Memory
from driftgauge.client.sender import Lane, Sender
from driftgauge.client.spool import Spool
from driftgauge.client.stats import Stats
from driftgauge.client.unit import EVENT, LABEL, MOST

FLUSH_S: Final = 2.0
"""Longest time that the end of the process is put off for what waits."""

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
        self._memory = Memory(self._queue_events)
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
        payload = encode({name: value for name, value in content.items() if value is not None})
        crc = crc32(named.encode("utf-8", "surrogatepass"))
        stats = self._stats
        if self._closed:
            stats.drop("closed")
            return
        if self._sender is None:
            self._start()
        if self._spool is None or not self._spool.put(kind, crc, payload):
            stats.unspooled += self._spool is not None
            if not self._memory.put(kind, crc, payload):
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
