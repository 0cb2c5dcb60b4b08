"""E-mail, by a real server with TLS and a login, and by servers that lie."""

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from driftgauge.consumer.notifying.choices import Mail
from driftgauge.consumer.notifying.targets import smtp
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.consumer.notifying.targets.building import build
from driftgauge.shared.errors import ConfigurationError
from tests.consumer.notifying.mail_server import PASSWORD, USER, Mailbox, mailing
from tests.consumer.notifying.messages import PNG, message, opened, resolved, worse

ANN, BOB, CAT = "ann@plant.example", "bob@plant.example", "cat@plant.example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Mailbox]:
    with mailing(folder) as found:
        yield found


@pytest.fixture
def box(server: Mailbox) -> Mailbox:
    """The server's mailbox, empty."""
    for part in (server.mails, server.receivers, server.encrypted, server.answers, server.endings):
        part.clear()
    return server


def choice(folder: Path, port: int, **changes: Any) -> Mail:
    (folder / "password").write_text(PASSWORD)
    given = {
        "host": "localhost",
        "port": port,
        "user": USER,
        "password_file": str(folder / "password"),
        "sender": "drift@plant.example",
        "receivers": (ANN, BOB, CAT),
        "ca_file": str(folder / "ca.pem"),
    }
    return Mail(**{**given, **changes})


@pytest.fixture
def target(folder: Path, box: Mailbox) -> Target:
    return build(choice(folder, box.port))


def test_the_mails_of_an_incident_arrive_encrypted_as_one_conversation(
    target: Target, box: Mailbox
) -> None:
    """Each change is a mail to all receivers, which follows the first one."""
    receipt = target.send(message(picture=PNG), "")
    for found in (worse(), resolved()):
        assert target.send(found, receipt) == receipt
    assert [mail["References"] for mail in box.mails] == [None, *[box.mails[0]["Message-ID"]] * 2]
    assert box.receivers == [[ANN, BOB, CAT]] * 3
    assert box.encrypted == [True] * 3
    assert "it is over" in box.mails[2].get_body(["plain"]).get_content()  # type: ignore[union-attr]
    assert [one.get_content_type() for one in box.mails[0].walk()][-1] == "image/png"


def test_tls_from_the_beginning(folder: Path) -> None:
    """Port 465's way works too."""
    with mailing(folder, "tls") as box:
        ours = choice(folder, box.port, security="tls", user="", password_file="")
        build(ours).send(opened(), "")
    assert len(box.mails) == 1


def test_a_server_of_this_machine_may_have_neither_tls_nor_a_login(folder: Path) -> None:
    """A relay on loopback needs neither."""
    with mailing(folder, "none") as box:
        plain = choice(folder, box.port, security="none", user="", password_file="")
        build(plain).send(opened(), "")
    assert len(box.mails) == 1
    assert box.encrypted == [False]


def test_who_got_a_mail_does_not_get_it_again(target: Target, box: Mailbox) -> None:
    """A full mailbox is tried again, by itself; an unknown receiver keeps nobody from being
    told.
    """
    box.answers[BOB] = deque(["452 full"])
    box.answers[CAT] = deque(["550 unknown"] * 2)
    with pytest.raises(Later, match="1 of 3 receivers"):
        target.send(opened(), "")
    assert box.receivers == [[ANN]]
    target.send(opened(), "")
    assert box.receivers == [[ANN], [BOB]]
    assert len({mail["Message-ID"] for mail in box.mails}) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [("451 later", Later), ("421 bye", Later), ("554 spam", Refused)]
)
def test_what_the_server_says_of_a_mail(
    target: Target, box: Mailbox, answer: str, error: type[Exception]
) -> None:
    """4xx is tried again, 5xx never."""
    box.endings += [answer]
    with pytest.raises(error, match=answer[:3]):
        target.send(opened(), "")


def test_receivers_of_whom_none_is_known_are_a_refusal(target: Target, box: Mailbox) -> None:
    """The addresses are not in the reason."""
    box.answers |= {one: deque(["550 no such user"]) for one in (ANN, BOB, CAT)}
    with pytest.raises(Refused, match="550") as raised:
        target.send(opened(), "")
    assert "plant.example" not in raised.value.reason


def test_a_wrong_password_is_a_refusal_that_does_not_tell_it(folder: Path, box: Mailbox) -> None:
    """535 is a 5xx."""
    (folder / "wrong").write_text("hush")
    with pytest.raises(Refused, match="535") as raised:
        build(choice(folder, box.port, password_file=str(folder / "wrong"))).send(opened(), "")
    assert "hush" not in raised.value.reason


def test_a_certificate_that_is_not_trusted_gets_no_password(folder: Path, box: Mailbox) -> None:
    """The certificates of this machine do not sign the server's; nor is it one of another name."""
    with pytest.raises(Later, match="certificate"):
        build(choice(folder, box.port, ca_file="")).send(opened(), "")
    assert not box.mails


def test_a_server_without_starttls_gets_no_password(folder: Path) -> None:
    """A man in the middle who takes STARTTLS away gets nothing."""
    with mailing(folder, "none") as box, pytest.raises(Refused, match="STARTTLS"):
        build(choice(folder, box.port)).send(opened(), "")
    assert not box.mails


def test_certificates_that_cannot_be_read_refuse_the_start(folder: Path) -> None:
    """The file is named."""
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        build(choice(folder, 25, ca_file=str(folder / "none.pem")))


@contextmanager
def lying(*sent: bytes, endless: bytes = b"") -> Iterator[int]:
    """A server that sends these bytes and then others for ever; give its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def serve() -> None:
            try:
                connected, _ = server.accept()
            except TimeoutError:  # nobody came
                return
            with connected:
                try:
                    for part in sent:
                        connected.sendall(part)
                    while endless and not over.is_set():
                        connected.sendall(endless)
                        over.wait(0.001)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("sent", "endless"),
    [
        (b"", b"220-never ends\r\n"),
        (b"", b"x" * 9000),
        (b"", b"220-" + b"x" * 9000),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""),
        (b"220 hello\r\n250-", b""),
        (b"", b""),
    ],
)
def test_a_server_that_lies_neither_hangs_nor_fills_the_memory(
    folder: Path, sent: bytes, endless: bytes
) -> None:
    """An endless greeting, garbage and an early end are tried again later."""
    with lying(sent, endless=endless) as port, pytest.raises(Later):
        build(choice(folder, port)).send(opened(), "")


def test_a_server_that_is_slow_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection has an end, also if a line comes now and then."""
    monkeypatch.setattr(smtp, "WITHIN_S", 0.2)
    monkeypatch.setattr(smtp, "MOST_LINES", 10**9)
    with lying(endless=b"220-wait\r\n") as port, pytest.raises(Later):
        build(choice(folder, port)).send(opened(), "")


def test_nothing_listens(folder: Path) -> None:
    """A server that is away is tried again."""
    with pytest.raises(Later, match="ConnectionRefusedError"):
        build(choice(folder, 1)).send(opened(), "")


def test_a_link_local_server_is_refused(folder: Path) -> None:
    """No mail goes to the addresses at which clouds tell secrets."""
    with pytest.raises(Refused, match="link-local"):
        build(choice(folder, 25, host="169.254.169.254")).send(opened(), "")
