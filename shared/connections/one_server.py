"""One server for all that belongs together: while a thread works with a state, no command of it may
go to another server than the state came from.

A pool's connections can lead to different servers at the same address: after a failover the idle
ones still lead to the old primary, which answers for some seconds. What is read there does not
belong to what is written here.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
from redis.connection import AbstractConnection

RUN_ID: Final = re.compile(rb"run_id:(\w+)")


class Server:
    """The server that a thread works with.

    Attributes
    ----------
    run_id
        Its `run_id`; empty until the first command.
    """

    def __init__(self) -> None:
        self.run_id = b""


_present = threading.local()


@contextmanager
def one_server(server: Server) -> Iterator[None]:
    """Let all commands of this thread go to one server: that of the first command, if `server` is
    none yet. Another one raises redis.ConnectionError, and its connection is closed.
    """
    _present.server = server
    try:
        yield
    finally:
        _present.server = None


class Known(AbstractConnection):
    """A connection that knows its server; one that may not ask leads to any."""

    run_id = b""

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Greet the server, and ask who it is."""
        self.run_id = b""
        super().on_connect_check_health(check_health)
        self.send_command("INFO", "server")  # type: ignore[no-untyped-call]  # redis-py's, inherited
        try:
            found = RUN_ID.search(self.read_response(disable_decoding=True))
        except redis.exceptions.ResponseError:  # not allowed here
            return
        self.run_id = b"" if found is None else found[1]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Send a command, unless the thread works with another server."""
        if self._sock is None:
            self.connect_check_health(check_health=False)
        server: Server | None = getattr(_present, "server", None)
        if server is not None and self.run_id:
            if server.run_id and server.run_id != self.run_id:
                self.disconnect()  # type: ignore[no-untyped-call]  # as above
                raise redis.ConnectionError(
                    "this connection leads to another server than the state was read from"
                )
            server.run_id = self.run_id
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
