"""Faults that come from outside and from within a model: clients that send half a request, and a
model whose call does not return.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import joblib
import numpy as np
from numpy.typing import NDArray

from benchmarks.chaos.model import REFERENCE_ROWS, VERSION
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest

HANGING = "gate"
"""Name of the model that hangs on demand; its predictions are no part of the count."""
HALF = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Ty"
CONNECT_S = 2.0
ASK_S = 15.0


class Gate:
    """A fitted model that does not return while a file exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        while self.path.exists():
            time.sleep(0.01)
        return np.asarray(rows)[:, 0]


def register_gate(registry: ModelRegistry, path: Path) -> None:
    """Register the model that hangs while there is a file at the path."""
    schema = Schema((Feature("load", "numeric"),))
    loads = np.random.default_rng(7).gamma(2, 1, REFERENCE_ROWS)
    manifest = new_manifest(HANGING, VERSION, task="regression")
    artifact = path.with_suffix(".joblib")
    joblib.dump(Gate(path), artifact)
    registry.register(
        PublishedVersion(manifest, schema, build_profile(schema, [loads], loads)), artifact
    )
    registry.promote(HANGING, VERSION, actor="benchmark")


def slow_loris(url: str, connections: int) -> Callable[[], None]:
    """Open connections that each send half of a request, and nothing more; return what ends them.

    An API that is away, or refuses some of them, makes it fewer.
    """
    place = urlsplit(url)
    opened: list[socket.socket] = []
    with suppress(OSError):
        for _ in range(connections):
            client = socket.create_connection((place.hostname, place.port), CONNECT_S)
            opened.append(client)
            client.sendall(HALF)

    def end() -> None:
        for client in opened:
            client.close()

    return end


def hanging_model(path: Path, urls: Sequence[str]) -> Callable[[], None]:
    """Make the model hang, and ask each API for a prediction of it; return what lets it go on."""
    path.touch()

    def ask(url: str) -> None:
        body = {"model": HANGING, "features": {"load": 1.0}}
        with suppress(httpx.HTTPError):  # it may be away, or end meanwhile
            httpx.post(f"{url}/predict", json=body, timeout=ASK_S, trust_env=False)

    for url in urls:
        threading.Thread(target=ask, args=(url,), daemon=True).start()
    return lambda: path.unlink(missing_ok=True)
