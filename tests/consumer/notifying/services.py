"""The services of notifications, as far as a test needs them: each answers what a sink gets as the
service does, unless a test wants another answer.
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.consumer.notifying.sink import Received, Reply, Sink


@dataclass(frozen=True)
class Got:
    """A request, taken apart."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def said(status: int = 200, body: Any = b"", **headers: str) -> Reply:
    """Return an answer, with a body of bytes or of JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, sent, {name.replace("_", "-"): text for name, text in headers.items()})


class Service:
    """Answers 200 to everything.

    Attributes
    ----------
    got
        All requests, in the order in which they came.
    next
        Answers to give before its own.
    """

    def __init__(self, sink: Sink) -> None:
        self.got: list[Got] = []
        self.next: deque[Reply] = deque()
        self.address = sink.address
        sink.answering = self.take

    def take(self, received: Received) -> Reply:
        parts = urlsplit(received.path)
        query = parse_qs(parts.query)
        got = Got(received.method, parts.path, query, received.headers, received.body)
        self.got.append(got)
        return self.next.popleft() if self.next else self.reply(got)

    def reply(self, _: Got, /) -> Reply:
        return said()


class SlackService(Service):
    """Slack's Web API: `messages` are those of the channel as they stand, by timestamp; `posted` as
    they were at first.
    """

    token = "xoxb-secret"  # noqa: S105  nobody's

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self.messages: dict[str, dict[str, Any]] = {}
        self.posted: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []
        self.changes: list[str] = []
        self.files: dict[str, bytes] = {}
        self.shared: list[dict[str, Any]] = []

    def reply(self, got: Got, /) -> Reply:
        if got.path.startswith("/upload/"):
            self.files[got.path.removeprefix("/upload/")] = got.body
            return said(body=b"OK - 2")
        if got.headers.get("authorization") != f"Bearer {self.token}":
            return said(body={"ok": False, "error": "invalid_auth"})
        method = got.path.rpartition("/")[2].replace(".", "_")
        answer: dict[str, Any] = getattr(self, f"_{method}")(got)
        return said(body={"ok": "error" not in answer, **answer})

    def _chat_postMessage(self, got: Got) -> dict[str, Any]:  # noqa: N802  Slack's name
        if "thread_ts" in got.json:
            self.replies.append(got.json)
            return {"channel": "C1", "ts": "1.9"}
        posted = f"1763640060.{len(self.messages):06d}"
        self.messages[posted] = got.json
        self.posted.append(got.json)
        return {"channel": "C1", "ts": posted, "message": got.json}

    def _chat_update(self, got: Got) -> dict[str, Any]:
        if got.json["ts"] not in self.messages:
            return {"error": "message_not_found"}
        self.messages[got.json["ts"]] = got.json
        self.changes.append(got.json["ts"])
        return {"channel": "C1", "ts": got.json["ts"]}

    def _files_getUploadURLExternal(self, got: Got) -> dict[str, Any]:  # noqa: N802
        asked = parse_qs(got.body.decode())
        if set(asked) != {"filename", "length"}:
            return {"error": "invalid_arguments"}
        return {"upload_url": f"{self.address}/upload/F1", "file_id": "F1"}

    def _files_completeUploadExternal(self, got: Got) -> dict[str, Any]:  # noqa: N802
        self.shared.append(got.json)
        return {"files": got.json["files"]}


class DiscordService(Service):
    """A webhook of Discord: `messages` are those of the channel as they stand, by id."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self.messages: dict[str, Got] = {}

    def reply(self, got: Got, /) -> Reply:
        if got.method == "PATCH":
            name = got.path.rpartition("/")[2]
            if name not in self.messages:
                return said(404, {"message": "Unknown Message", "code": 10008})
        else:
            name = str(1_300_000_000_000_000_000 + len(self.messages))
        self.messages[name] = got
        return (
            said(200, {"id": name}) if "wait" in got.query or got.method == "PATCH" else said(204)
        )


class PagerDutyService(Service):
    """PagerDuty's Events API: `open` are the alerts that stand, by their keys."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self.open: dict[str, dict[str, Any]] = {}
        self.acknowledged: set[str] = set()

    def reply(self, got: Got, /) -> Reply:
        event = got.json
        key = event["dedup_key"]
        if event["routing_key"] != "R" * 32:
            return said(400, {"status": "invalid event", "errors": ["Invalid routing key"]})
        if event["event_action"] == "trigger":
            self.open[key] = event["payload"]
        elif event["event_action"] == "acknowledge":
            self.acknowledged.add(key)
        else:
            self.open.pop(key, None)
        return said(202, {"status": "success", "message": "Event processed", "dedup_key": key})


class OpsgenieService(Service):
    """Opsgenie's Alert API: `open` are the alerts that stand, by their aliases."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self.open: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []
        self.acknowledged: set[str] = set()

    def reply(self, got: Got, /) -> Reply:
        if got.headers.get("authorization") != "GenieKey secret":
            return said(401, {"message": "Key is not valid"})
        if got.path.endswith("/v2/alerts"):
            self.open.setdefault(got.json["alias"], got.json)
            return said(202, {"result": "Request will be processed"})
        alias, action = got.path.split("/")[-2:]
        if got.query.get("identifierType") != ["alias"] or alias not in self.open:
            return said(404, {"message": "Alert does not exist"})
        if action == "close":
            del self.open[alias]
        elif action == "acknowledge":
            self.acknowledged.add(alias)
        else:
            self.notes.append(got.json["note"])
        return said(202, {"result": "Request will be processed"})
