"""Slack by its Web API, with a bot's token: one message for each incident, changed in place.

A message that is changed alerts nobody. So what people are to notice, that it is worse or a
reminder, is a reply in the message's thread too, which the channel shows. The picture is uploaded
into the thread, after the first message.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

from driftgauge.consumer.notifying.choices import Slack
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import post
from driftgauge.consumer.notifying.rendering.slack import as_reply, as_slack
from driftgauge.consumer.notifying.rendering.telling import Telling, tell
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target

log = logging.getLogger("driftgauge.notifying")

AGAIN: Final = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
"""Errors of the Web API after which another attempt is made; it tells them with status 200."""
GONE: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"}
)
"""Errors that say that the message cannot be changed (any more): then there is a new one."""
PICTURE: Final = "drift.png"


class _Answer(msgspec.Struct):
    ok: bool
    error: str = ""
    channel: str = ""
    ts: str = ""
    upload_url: str = ""
    file_id: str = ""


class SlackRefused(Refused):
    """Slack answered with an error that another attempt does not mend."""

    def __init__(self, error: str) -> None:
        super().__init__(f"Slack says {error}")
        self.error = error


class SlackTarget(Target):
    """Posts to one channel. Its receipt is the channel's id and the message's timestamp."""

    pictures = True
    in_place = True

    def __init__(self, choice: Slack) -> None:
        self._address = choice.address.rstrip("/")
        self._channel = choice.channel
        self._headers = {"Authorization": f"Bearer {secret_of(choice, 'token')}"}

    def send(self, message: Message, receipt: str) -> str:
        """Post a message, or change the one that was posted."""
        telling = tell(message)
        content = as_slack(telling) | _metadata(message)
        channel, _, posted = receipt.partition(" ")
        if posted:
            try:
                self._call("chat.update", {"channel": channel, "ts": posted, **content})
            except SlackRefused as error:
                if error.error not in GONE:
                    raise
                posted = ""
        if posted:
            self._reply(message, telling, channel, posted)
            return receipt
        answer = self._call("chat.postMessage", {"channel": self._channel, **content})
        if message.picture is not None:
            self._upload(message.picture, answer)
        return f"{answer.channel} {answer.ts}"

    def _reply(self, message: Message, telling: Telling, channel: str, posted: str) -> None:
        if message.silent or telling.state not in {"worse", "reminder"}:
            return
        thread = {"channel": channel, "thread_ts": posted, "reply_broadcast": True}
        self._call("chat.postMessage", {**thread, **as_reply(telling), **_metadata(message)})

    def _upload(self, picture: bytes, posted: _Answer) -> None:
        """Add the picture to a message's thread; without it, the message is told all the same."""
        try:
            asked = {"filename": PICTURE, "length": str(len(picture))}
            place = self._call("files.getUploadURLExternal", asked, form=True)
            post(place.upload_url, picture, {"Content-Type": "image/png"})
            shared = {
                "files": [{"id": place.file_id, "title": "The values now, beside the reference"}],
                "channel_id": posted.channel,
                "thread_ts": posted.ts,
            }
            self._call("files.completeUploadExternal", shared)
        except (Refused, Later) as error:
            log.warning("A picture could not be sent to Slack: %s", error)

    def _call(self, method: str, sent: Mapping[str, Any], *, form: bool = False) -> _Answer:
        """Call a method of the Web API; one that reads is given a form, since not all take JSON."""
        kind = "application/x-www-form-urlencoded" if form else "application/json; charset=utf-8"
        body = str(httpx.QueryParams(sent)).encode() if form else msgspec.json.encode(sent)
        found = post(f"{self._address}/{method}", body, {**self._headers, "Content-Type": kind})
        try:
            answer = msgspec.json.decode(found.body, type=_Answer)
        except msgspec.DecodeError:
            raise Later("its answer is not Slack's", maybe_taken=True) from None
        if answer.ok:
            return answer
        error = answer.error if answer.error.replace("_", "").isalnum() else "an unknown error"
        if error in AGAIN:
            raise Later(f"Slack says {error}")
        raise SlackRefused(error[:60])


def _metadata(message: Message) -> dict[str, Any]:
    """Return what tells a program which incident, and which message of it, this is."""
    payload = {"incident": message.incident.id, "key": message.key}
    return {"metadata": {"event_type": "driftgauge_incident", "event_payload": payload}}
