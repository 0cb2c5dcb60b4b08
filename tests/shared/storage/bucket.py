"""A bucket of moto's server, on this machine."""

import os
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAME = "driftgauge"


@contextmanager
def bucket() -> Iterator[str]:
    """Start a server with an empty bucket, which the environment names; its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _one_at_a_time(server)
    try:
        _, port = server.get_host_and_port()
        address = f"http://127.0.0.1:{port}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", address)
            patch.setenv("AWS_ACCESS_KEY_ID", "test")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            patch.setenv("AWS_REGION", "us-east-1")
            patch.delenv("AWS_SESSION_TOKEN", raising=False)
            request = urllib.request.Request(f"{address}/{NAME}", method="PUT")  # noqa: S310  ours
            with urllib.request.urlopen(request):  # noqa: S310
                pass
            assert os.environ["AWS_ENDPOINT_URL"] == address
            yield f"s3://{NAME}"
    finally:
        server.stop()


def _one_at_a_time(server: Any) -> None:
    """Let the server answer one request after the other: it checks the condition of a write and
    writes in two steps, between which another thread may write; S3 does both in one.
    """
    inner, lock = server._server.app, threading.Lock()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        with lock:
            return [b"".join(inner(environ, start_response))]

    server._server.app = app
