"""Discord by a channel's webhook: one message for each incident, changed in place.

A message that is changed alerts nobody. So what people are to notice, that it is worse or a
reminder, is a short message of its own too.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

from driftgauge.consumer.notifying.choices import Discord
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import Answer, post
from driftgauge.consumer.notifying.rendering.discord import PICTURE, as_discord, as_note
from driftgauge.consumer.notifying.rendering.telling import tell
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.shared.errors import ConfigurationError

NOT_FOUND: Final = 404
_ID: Final = re.compile(r"[0-9]{1,20}")


class _Posted(msgspec.Struct):
    id: str


class DiscordTarget(Target):
    """Posts to the channel of a webhook. Its receipt is the id of the message."""

    pictures = True
    in_place = True

    def __init__(self, choice: Discord) -> None:
        try:
            self._address = httpx.URL(secret_of(choice, "url"))
        except httpx.InvalidURL:  # the message would quote it
            raise ConfigurationError("The address of a Discord webhook is none.") from None

    def send(self, message: Message, receipt: str) -> str:
        """Post a message, or change the one that was posted."""
        telling = tell(message)
        content = as_discord(telling, message.incident.updated, picture=message.picture is not None)
        if receipt and self._change(receipt, content, message.picture):
            if telling.state in {"worse", "reminder"} and not message.silent:
                self._post(as_note(telling), None)
            return receipt
        return self._post(content, message.picture)

    def _change(self, posted: str, content: Mapping[str, Any], picture: bytes | None) -> bool:
        """Change a message; return False if it is gone, by the hand of a person."""
        path = f"{self._address.path.rstrip('/')}/messages/{posted}"
        try:
            self._send("PATCH", self._address.copy_with(path=path), content, picture)
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return False
        return True

    def _post(self, content: Mapping[str, Any], picture: bytes | None) -> str:
        address = self._address.copy_merge_params({"wait": "true"})
        answer = self._send("POST", address, content, picture)
        try:
            posted = msgspec.json.decode(answer.body, type=_Posted).id
        except msgspec.DecodeError:
            raise Later("its answer is not Discord's", maybe_taken=True) from None
        return posted if _ID.fullmatch(posted) else ""

    def _send(
        self, method: str, address: httpx.URL, content: Mapping[str, Any], picture: bytes | None
    ) -> Answer:
        """Send a message; one with a picture is a form of two parts."""
        encoded = msgspec.json.encode(content)
        if picture is None:
            headers = {"Content-Type": "application/json"}
            return post(str(address), encoded, headers, method=method)
        named = {**content, "attachments": [{"id": 0, "filename": PICTURE}]}
        form = httpx.Request(
            method,
            "http://form",
            files={
                "payload_json": (None, msgspec.json.encode(named), "application/json"),
                "files[0]": (PICTURE, picture, "image/png"),
            },
        )
        headers = {"Content-Type": form.headers["Content-Type"]}
        return post(str(address), form.read(), headers, method=method)
