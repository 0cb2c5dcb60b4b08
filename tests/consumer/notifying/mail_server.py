"""A real mail server for tests (aiosmtpd): with TLS, with STARTTLS and a login, or plain."""

import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from driftgauge.shared.local.processes import reserved_port

USER, PASSWORD = "driftgauge", "open sesame"
FIRST_PORT = 19_500


@dataclass
class Mailbox:
    """What the server got, and what it is to answer instead of its own.

    Attributes
    ----------
    mails
        The mails, in the order in which they came.
    receivers
        To whom each was sent.
    answers
        Answers to give to a receiver's address, instead of taking it; each once.
    endings
        Answers to give to mails, instead of taking them; each once.
    encrypted
        Whether each came by TLS.
    """

    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)
    answers: dict[str, deque[str]] = field(default_factory=dict)
    endings: deque[str] = field(default_factory=deque)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802  aiosmtpd's names
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.answers.get(address):
            return self.answers[address].popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: Any, session: Session, envelope: Envelope
    ) -> str:
        if self.endings:
            return self.endings.popleft()
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.receivers.append(list(envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None or session.peer is None)
        return "250 OK"


def _login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
    known = isinstance(given, LoginPassword) and given.login == USER.encode()
    right = known and given.password == PASSWORD.encode()
    return AuthResult(success=right, handled=False)


@contextmanager
def mailing(
    folder: Path, security: Literal["starttls", "tls", "none"] = "starttls"
) -> Iterator[Mailbox]:
    """Run a server on a free port while the context lasts; with STARTTLS it wants a login.

    Its certificate is in `folder/ca.pem`.
    """
    box, context = Mailbox(), server_context(folder)
    more: dict[str, Any] = {}
    if security == "starttls":
        more = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": _login,
        }
    elif security == "tls":
        more = {"ssl_context": context}
    with reserved_port(FIRST_PORT, "127.0.0.1") as box.port:
        server = Controller(box, hostname="127.0.0.1", port=box.port, **more)
        server.start()
        try:
            yield box
        finally:
            server.stop()


def server_context(folder: Path) -> ssl.SSLContext:
    """Return the TLS of a server, with a certificate of `localhost` that signs itself; a folder has
    one.
    """
    if not (folder / "ca.pem").exists():
        _certify(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def _certify(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
