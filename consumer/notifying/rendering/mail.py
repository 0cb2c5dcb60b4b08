"""A message as a mail: text and page, with the picture in it, and headers by which mail programs
put all mails of an incident into one conversation.

No text of a stranger reaches a header as it is: the subject is one line of visible characters, and
what is no plain name in an id is replaced by its digest.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.rendering.page import PICTURE, as_page
from driftgauge.consumer.notifying.rendering.telling import Telling
from driftgauge.consumer.notifying.rendering.text import as_text
from driftgauge.shared.wording.plain import clip

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,100}", re.ASCII)
_FIRST: Final = re.compile(r"(<[A-Za-z0-9_-]{1,110}@[A-Za-z0-9.-]{1,255}>) ([^\r\n]{1,300})")
_POLICY: Final = SMTP.clone(max_line_length=900)  # a folded subject would begin with a space
SUBJECT: Final = 180
"""Most characters of a subject."""


def as_mail(
    message: Message, telling: Telling, sender: str, receivers: Sequence[str], receipt: str
) -> tuple[EmailMessage, str]:
    """Return a mail, and the receipt that makes later ones follow it.

    Parameters
    ----------
    sender, receivers
        Mail addresses.
    receipt
        Id and subject of the incident's first mail; empty if this one is the first.
    """
    mail = EmailMessage(policy=_POLICY)
    name = f"<{_plain(message.key)}@{sender.rpartition('@')[2]}>"
    first = _FIRST.fullmatch(receipt)
    subject = first[2] if first else " ".join(clip(telling.subject, SUBJECT).split())
    mail["From"] = Address("Driftgauge", addr_spec=sender)
    mail["To"] = [Address(addr_spec=one) for one in receivers]
    mail["Subject"] = f"Re: {subject}" if first else subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.sent / 1000, UTC))
    mail["Message-ID"] = name
    if first:
        mail["In-Reply-To"] = first[1]
        mail["References"] = first[1]
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if telling.mood == "critical":
        mail["Importance"] = "high"
    mail.set_content(f"{telling.title}\n\n{as_text(telling)}\n", cte="quoted-printable")
    _add_page(mail, message, telling)
    return mail, receipt if first else f"{name} {subject}"


def _add_page(mail: EmailMessage, message: Message, telling: Telling) -> None:
    page = as_page(telling, picture=message.picture is not None)
    mail.add_alternative(page, subtype="html", cte="quoted-printable")
    if message.picture is None:
        return
    part = mail.get_body(["html"])
    assert isinstance(part, EmailMessage)  # noqa: S101  it was added some lines above
    part.add_related(
        message.picture, "image", "png", cid=f"<{PICTURE}>", filename="drift.png",
        disposition="inline",
    )  # fmt: skip


def _plain(key: str) -> str:
    r"""Return a key as a part of a message's id.

    Examples
    --------
    >>> _plain("6b3108a1eb9f83ec-2"), _plain("a\r\nBcc: b")[:8]
    ('6b3108a1eb9f83ec-2', 'c4c09579')
    """
    return key if _NAME.fullmatch(key) else hashlib.sha256(key.encode(errors="replace")).hexdigest()
