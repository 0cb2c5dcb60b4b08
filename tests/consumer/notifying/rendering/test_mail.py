"""Mails: names are no markup and no header, and a conversation is one."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

import pytest

from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.rendering.mail import as_mail
from driftgauge.consumer.notifying.rendering.page import as_page
from driftgauge.consumer.notifying.rendering.telling import tell
from tests.consumer.notifying.messages import LINK, PNG, message, opened, resolved, worse
from tests.consumer.notifying.nasty import NASTY, nasty

HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress",
    "Importance", "MIME-Version", "Content-Type",
}  # fmt: skip


class Page(HTMLParser):
    """The tags and addresses of a page, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.names: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.words += data


def mailed(found: Message, receipt: str = "") -> tuple[EmailMessage, str]:
    """Return a mail as its receiver reads it."""
    mail, kept = as_mail(
        found, tell(found), "drift@plant.example", ["a@b.example", "c@d.example"], receipt
    )
    read = message_from_bytes(mail.as_bytes(), policy=default)
    assert isinstance(read, EmailMessage)
    return read, kept


@pytest.mark.parametrize("text", NASTY)
def test_a_page_has_the_same_tags_whatever_the_names(text: str) -> None:
    """No name makes a tag, an attribute or an address."""
    calm = Page(as_page(tell(nasty("load")), picture=True))
    found = Page(as_page(tell(nasty(text)), picture=True))
    assert found.names == calm.names
    assert not any(name.startswith("on") for name in found.names)
    assert found.addresses == ["cid:drift", LINK]
    if text:  # facts without a text have no row
        assert found.tags == calm.tags


@pytest.mark.parametrize("text", NASTY)
def test_no_name_becomes_a_header(text: str) -> None:
    """The headers are ours, each once and in one line, and the receivers are those of the route."""
    read, kept = mailed(nasty(text))
    assert set(read.keys()) == HEADERS
    assert len(read.keys()) == len(HEADERS)
    assert read["To"] == "a@b.example, c@d.example"
    assert len(read["Subject"]) <= 180
    later, again = mailed(nasty(text), kept)
    assert set(later.keys()) == HEADERS | {"In-Reply-To", "References"}
    assert later["Subject"] == f"Re: {read['Subject']}"
    assert again == kept
    assert len(kept) < 2000


def test_the_mails_of_an_incident_are_one_conversation() -> None:
    """Later mails name the first one and keep its subject; each has an id of its own, which is the
    same if it is sent again.
    """
    first, receipt = mailed(opened())
    second, kept = mailed(worse(headline="Now it is another headline."), receipt)
    third, _ = mailed(resolved(), kept)
    assert first["Message-ID"] == "<6b3108a1eb9f83ec-1@plant.example>"
    assert first["Subject"].startswith("[critical] steel: Since 20 Nov 12:01 UTC load reads")
    for later in (second, third):
        assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
        assert later["Subject"] == f"Re: {first['Subject']}"
    assert len({str(one["Message-ID"]) for one in (first, second, third)}) == 3
    assert mailed(opened())[0]["Message-ID"] == first["Message-ID"]
    assert (first["Importance"], third["Importance"]) == ("high", None)


def test_a_mail_has_text_and_page_and_the_picture_in_it() -> None:
    """The picture is a part of the page, which names it by its id."""
    read, _ = mailed(message(picture=PNG))
    text, page = read.get_body(["plain"]), read.get_body(["html"])
    assert text is not None
    assert page is not None
    assert LINK in text.get_content()
    assert 'src="cid:drift"' in page.get_content()
    (picture,) = [one for one in read.walk() if one.get_content_type() == "image/png"]
    assert (picture["Content-ID"], picture.get_content_disposition()) == ("<drift>", "inline")
    assert picture.get_payload(decode=True) == PNG
    assert [one.get_content_type() for one in read.walk()] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
    ]


def test_a_mail_without_a_picture_shows_none() -> None:
    """No broken image stands where there is none."""
    read, _ = mailed(opened())
    page = read.get_body(["html"])
    assert page is not None
    assert "<img" not in page.get_content()


def test_a_receipt_that_is_none_of_ours_begins_a_new_conversation() -> None:
    """What was stored by something else reaches no header."""
    read, _ = mailed(worse(), "<a@b>\r\nBcc: x@y.example")
    assert read["In-Reply-To"] is None
    assert read["Bcc"] is None
