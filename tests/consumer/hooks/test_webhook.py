"""The webhook of a hook, posted to a real server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from driftgauge.consumer.hooks import webhook
from driftgauge.consumer.judging.incidents.hooks import Run, RunResult

RUN = Run("the-id", '{"id": "the-id"}', 0)


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Answer with these codes, one after the other, and keep what was posted."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(
                {
                    "body": body.decode(),
                    "key": self.headers["Idempotency-Key"],
                    "type": self.headers["Content-Type"],
                }
            )
            self.send_response(statuses[len(posted) - 1])
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?token=secret", posted
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PAUSES_S", (0.01, 0.01))


def test_a_webhook_gets_the_incident_as_a_cloud_event() -> None:
    """The body is the event, the header names it."""
    with receiver(202) as (address, posted):
        outcome = webhook.post(address, RUN, 10, threading.Event())
    assert (outcome.ok, outcome.detail) == (True, "status 202")
    assert posted == [{"body": RUN.event, "key": "the-id", "type": "application/cloudevents+json"}]


def test_a_receiver_that_cannot_now_is_asked_again_under_the_same_key() -> None:
    """503 is tried again, so that a restart of the receiver loses nothing; it can tell a
    repetition.
    """
    with receiver(503, 429, 200) as (address, posted):
        assert webhook.post(address, RUN, 10, threading.Event()).ok
    assert [one["key"] for one in posted] == ["the-id"] * 3


@pytest.mark.parametrize("status", [302, 401, 422])
def test_a_receiver_that_refuses_is_not_asked_again(status: int) -> None:
    """A refusal is the outcome, and no redirection is followed."""
    with receiver(status) as (address, posted):
        outcome = webhook.post(address, RUN, 10, threading.Event())
    words = outcome.detail.removesuffix(", a redirection, which is not followed")
    assert (outcome.ok, words, len(posted)) == (False, f"status {status}", 1)


def test_a_receiver_that_is_away_is_an_outcome_without_the_address() -> None:
    """The address may hold a token, so no message quotes it."""
    outcome = webhook.post("http://127.0.0.1:1/hook?token=secret", RUN, 10, threading.Event())
    assert (outcome.ok, outcome.detail) == (False, "no connection (ConnectionRefusedError)")


def test_an_answer_without_end_is_left() -> None:
    """A receiver that sends a byte now and then cannot hold the worker: each attempt is cut when
    its time is over.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    ended = threading.Event()

    def drip() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                    while not ended.wait(0.02):
                        connection.sendall(b"x")
            except OSError:  # it was cut, or nobody came
                continue

    thread = threading.Thread(target=drip)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    outcomes = list[RunResult]()
    post = threading.Thread(
        target=lambda: outcomes.append(webhook.post(address, RUN, 0.2, threading.Event())),
        daemon=True,
    )
    post.start()
    post.join(5)
    ended.set()
    thread.join()
    listener.close()
    assert outcomes == [RunResult(ok=False, detail="no answer within 0.2 s")]


def test_a_metadata_address_gets_nothing() -> None:
    """What a cloud tells its machines is no receiver, as it is none of a route."""
    outcome = webhook.post("http://169.254.169.254/", RUN, 10, threading.Event())
    assert not outcome.ok
    assert "link-local" in outcome.detail
