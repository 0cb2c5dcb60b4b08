"""E-mail."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from driftgauge.consumer.notifying.choices.base import TargetChoice

MailAddress = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,250}$",
        max_length=254,
    ),
]
"""A mail address of ASCII, without a name before it."""


class Mail(TargetChoice, tag="email", frozen=True, kw_only=True):
    """Mails, by a server that takes them from us.

    Parameters
    ----------
    host, port
        The server; 587 with STARTTLS, 465 with TLS.
    security
        `starttls`, `tls` from the beginning, or `none`, for a server on this machine.
    user
        Name of the login; empty for none.
    password_env, password_file
        Its password.
    sender, receivers
        Mail addresses, `from` and `to` in the file.
    ca_file
        File of the certificates that are trusted; empty for those of this machine.
    """

    may_have: ClassVar[tuple[str, ...]] = ("password",)

    host: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9.:_-]{1,253}$")]
    sender: MailAddress = msgspec.field(name="from")
    receivers: Annotated[tuple[MailAddress, ...], msgspec.Meta(min_length=1, max_length=50)] = (
        msgspec.field(name="to")
    )
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Annotated[str, msgspec.Meta(max_length=254)] = ""
    password_env: str = ""
    password_file: str = ""
    ca_file: str = ""

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield a login that is not whole, and one that would be sent where others can read it."""
        given = self.given("password")
        if bool(self.user) != bool(given):
            field = "user" if self.user else given[0]
            yield field, "needs both `user` and a password, or neither"
        elif self.user and self.security == "none":
            yield "security", "would send its password unencrypted; use `starttls` or `tls`"
