"""A connection to an SMTP server, bounded in time and in memory, to a checked address."""

import smtplib
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Final, Literal, Self

from driftgauge.consumer.notifying.post import MOST_TRIED, resolved

WITHIN_S: Final = 60.0
"""Longest time (s) of a connection, from its beginning to its end."""
STEP_S: Final = 20.0
"""Longest time (s) of a step."""
MOST_LINES, MOST_LINE = 100, 8192
"""Most lines of a reply, and bytes of a line."""
Security = Literal["starttls", "tls", "none"]


class BoundedSmtp(smtplib.SMTP):
    """An SMTP client. Use it as a context; it connects in `begin`.

    Parameters
    ----------
    host, port
        The server.
    name
        Name by which we greet it.
    """

    def __init__(self, host: str, port: int, name: str) -> None:
        super().__init__(local_hostname=name, timeout=STEP_S)
        self._host = host  # what its certificate is checked for
        self._port = port
        self._tls: ssl.SSLContext | None = None
        self._timer: threading.Timer | None = None
        self._cut: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self.close()
            if self._timer is not None:
                self._timer.cancel()
                self._timer.join()
            if self._cut is not None:
                self._cut.close()

    def begin(self, security: Security, context: ssl.SSLContext) -> None:
        """Connect, by TLS if that is wanted, and greet the server."""
        self._tls = context if security == "tls" else None
        code, words = self.connect(self._host, self._port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, words)
        if security == "starttls":
            self.starttls(context=context)
        self.ehlo_or_helo_if_needed()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to the first checked address of the host that answers; smtplib calls this."""
        until = time.monotonic() + WITHIN_S
        connected = _connected(host, port, timeout, until)
        self._cut = connected.dup()  # TLS takes the first one over
        self._timer = threading.Timer(max(0.0, until - time.monotonic()), self._over)
        self._timer.daemon = True
        self._timer.start()
        if self._tls is None:
            return connected
        try:
            return self._tls.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise

    def _over(self) -> None:
        if self._cut is not None:
            try:
                self._cut.shutdown(socket.SHUT_RDWR)
            except OSError:  # it ended by itself meanwhile
                return

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply, of a bounded number of lines."""
        if self.file is None:
            assert self.sock is not None  # noqa: S101  smtplib asks for no reply before it connects
            self.file = self.sock.makefile("rb")
        lines: list[bytes] = []
        for _ in range(MOST_LINES):
            try:
                line = self.file.readline(MOST_LINE + 1)
            except OSError as error:  # it is slow, or was cut
                self.close()
                raise smtplib.SMTPServerDisconnected(type(error).__name__) from error
            lines.append(line[4:].strip())
            if not line.endswith(b"\n") or not line[:3].isdigit():
                break
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("its answer is no SMTP, or breaks off")


def _connected(host: str, port: int, timeout: float, until: float) -> socket.socket:
    lost: OSError = ConnectionError("its name leads to no address")
    for address in resolved(host, port)[:MOST_TRIED]:
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        try:
            return socket.create_connection((address, port), min(timeout, left_s))
        except OSError as error:
            lost = error
    raise lost
