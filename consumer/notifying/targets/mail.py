"""E-mail by SMTP, with STARTTLS or TLS, both verified: a mail for each change that people are told
of, in one conversation for each incident.

Receivers are asked for one by one before the mail is sent. Those that are refused for now get it at
the next attempt, the others are remembered and do not get it again; after a crash they may, with
the same Message-ID, by which mail servers know it. So one full mailbox keeps nobody from being
told.
"""

import logging
import smtplib
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from driftgauge.consumer.notifying.choices import Mail
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.rendering.mail import as_mail
from driftgauge.consumer.notifying.rendering.telling import tell
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.consumer.notifying.targets.smtp import BoundedSmtp
from driftgauge.shared.errors import ConfigurationError

log = logging.getLogger("driftgauge.notifying")

REMEMBERED: Final = 100
"""Most messages of which it is remembered who got them."""


class MailTarget(Target):
    """Sends mails. Its receipt is the id and the subject of the incident's first mail."""

    pictures = True

    def __init__(self, choice: Mail) -> None:
        self._choice = choice
        self._password = secret_of(choice, "password")
        self._told: OrderedDict[str, frozenset[str]] = OrderedDict()
        try:
            self._context = ssl.create_default_context(cafile=choice.ca_file or None)
        except (OSError, ssl.SSLError):
            raise ConfigurationError(
                f"The certificates of {choice.ca_file} cannot be read."
            ) from None

    def send(self, message: Message, receipt: str) -> str:
        """Send a mail to all receivers."""
        choice, telling = self._choice, tell(message)
        mail, kept = as_mail(message, telling, choice.sender, choice.receivers, receipt)
        told = self._told.get(message.key, frozenset())
        waiting = [one for one in choice.receivers if one not in told]
        try:
            with BoundedSmtp(choice.host, choice.port, choice.sender.rpartition("@")[2]) as client:
                client.begin(choice.security, self._context)
                if choice.user:
                    client.login(choice.user, self._password)
                later = self._deliver(client, mail.as_bytes(), waiting)
        except smtplib.SMTPException as error:
            raise _translated(error) from None
        except ssl.SSLCertVerificationError:
            raise Later("its certificate is not trusted") from None
        except OSError as error:
            raise Later(
                f"no connection, or it broke off ({type(error).__name__})",
                maybe_taken=not isinstance(error, ConnectionRefusedError),
            ) from None
        if later:
            self._remember(message.key, told | (set(waiting) - set(later)))
            reason = f"{len(later)} of {len(choice.receivers)} receivers take no mail now"
            raise Later(reason, maybe_taken=len(later) < len(choice.receivers))
        self._told.pop(message.key, None)
        return kept

    def _deliver(self, client: smtplib.SMTP, mail: bytes, receivers: Sequence[str]) -> list[str]:
        """Send a mail to whom the server takes it for; return those for whom it may later.

        Raises
        ------
        Refused
            If it will never take it for anybody.
        """
        _expect(client.mail(self._choice.sender))
        codes = {one: client.rcpt(one)[0] for one in receivers}
        taken = [one for one, code in codes.items() if 200 <= code < 300]
        later = [one for one, code in codes.items() if not 200 <= code < 300 and code < 500]
        if taken:
            _expect(client.data(mail))
        elif not later:
            raise Refused(f"none of its receivers is known there ({next(iter(codes.values()))})")
        if len(taken) + len(later) < len(receivers):
            unknown = len(receivers) - len(taken) - len(later)
            log.warning("%d of %d receivers of a mail are unknown", unknown, len(receivers))
        return later

    def _remember(self, key: str, told: frozenset[str]) -> None:
        self._told[key] = told
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


def _expect(answer: tuple[int, bytes]) -> None:
    if not 200 <= answer[0] < 300:
        raise smtplib.SMTPResponseException(answer[0], answer[1])


def _translated(error: smtplib.SMTPException) -> Refused | Later:
    """Return what a fault of SMTP means; the server's words are left out, they may quote us."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Refused("its server cannot do what is asked: STARTTLS, or this login")
    if isinstance(error, smtplib.SMTPResponseException):
        words = f"SMTP says {error.smtp_code}"
        return Refused(words) if error.smtp_code >= 500 else Later(words)
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Later("the connection broke off", maybe_taken=True)
    return Later(f"SMTP failed ({type(error).__name__})")
