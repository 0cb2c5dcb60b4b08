"""What a person on call gets: the demo's fault at a webhook, a real Alertmanager, a mail server and
a server of Slack's form, one message each, brought up to date and ended, while the worker is killed
again and again.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.models.common.training import Trained, store
from driftgauge.models.demo.traffic import PairedRow, paired_rows
from driftgauge.models.steel.train import MODEL, train
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.events import Label, encode
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from tests.consumer.builders import event, raw
from tests.consumer.notifying.alertmanager import RunningAlertmanager, alertmanager
from tests.consumer.notifying.mail_server import PASSWORD, USER, Mailbox, mailing
from tests.consumer.notifying.services import SlackService
from tests.consumer.notifying.sink import Sink, http_sink
from tests.integration.plant import (
    append,
    arrived,
    end,
    judged_all,
    settings_of,
    wait_for,
    worker_process,
)

CALM, DRIFTED = 1500, 1500
AFTER, MOST_AFTER = 2000, 20
"""Predictions of a step after the fault, and the most steps until all is well again."""
KILLS = 3
PATIENCE_S = 300.0
LABEL_LATER = 100
"""Predictions after which a label comes."""
NAME = MODEL.name
POLICY = """
[[routes]]
name = "machine"
match = {{ kinds = ["model"] }}
target = {{ type = "webhook", url = "{webhook}/hook" }}

[[routes]]
name = "alerts"
match = {{ kinds = ["model"] }}
target = {{ type = "alertmanager", url = "{alertmanager}" }}

[[routes]]
name = "mail"
match = {{ kinds = ["model"] }}

[routes.target]
type = "email"
host = "localhost"
port = {port}
user = "{user}"
password_file = "{folder}/password"
ca_file = "{folder}/ca.pem"
from = "drift@plant.example"
to = ["ann@plant.example", "bob@plant.example"]

[[routes]]
name = "chat"
match = {{ kinds = ["model"] }}

[routes.target]
type = "slack"
channel = "C1"
token_file = "{folder}/token"
address = "{slack}/api"
"""


@dataclass
class Receivers:
    """All that is told."""

    webhook: Sink
    alerts: RunningAlertmanager
    box: Mailbox
    slack: SlackService
    policy: Path


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    with (
        http_sink() as webhook,
        http_sink() as chat,
        alertmanager(tmp_path) as alerts,
        mailing(tmp_path) as box,
    ):
        slack = SlackService(chat)
        (tmp_path / "password").write_text(PASSWORD)
        (tmp_path / "token").write_text(slack.token)
        policy = tmp_path / "policy.toml"
        policy.write_text(
            POLICY.format(
                webhook=webhook.address,
                alertmanager=alerts.address,
                slack=slack.address,
                port=box.port,
                user=USER,
                folder=tmp_path,
            )
        )
        yield Receivers(webhook, alerts, box, slack, policy)


class Traffic:
    """The demo's traffic as entries of the log: predictions, and later the true values."""

    def __init__(self, trained: Trained, version: str, start_ms: int) -> None:
        self._rows = paired_rows(MODEL, trained, 3, in_order=False)
        self._trained, self._version, self._start_ms = trained, version, start_ms
        self._made = 0
        self._labels: list[tuple[str, object]] = []

    def take(self, number: int, *, drifted: bool = False) -> list[Entry]:
        rows = list(islice(self._rows, number))
        features = [self._features(row, drifted=drifted) for row in rows]
        predictions = self._trained.estimator.predict(features).tolist()
        found = []
        for row, values, prediction in zip(rows, features, predictions, strict=True):
            self._made += 1
            ms, name = self._start_ms + 20 * self._made, f"id{self._made}"
            more = {"version": self._version, "prediction": prediction, "latency_ms": 1.0}
            found.append(event(ms, self._made, values, id=name, **more))
            self._labels.append((name, row.label))
            if len(self._labels) > LABEL_LATER:
                of, value = self._labels.pop(0)
                told = encode(Label(of, value, ms))  # type: ignore[arg-type]
                entry_id, fields = raw("0-0", self._made, told, b"labels")
                found.append((entry_id, [b"t", b"l", *fields[2:]]))
        return found

    @staticmethod
    def _features(row: PairedRow, *, drifted: bool) -> list[object]:
        values = row.drifted if drifted else row.clean
        return [values[feature.name] for feature in MODEL.schema.features]


class Story:
    """The fault, told by a worker that is killed again and again.

    Parameters
    ----------
    traffic
        Where its predictions come from.
    settings, log
        Settings of the workers, and the file of their logs.
    """

    def __init__(
        self, client: redis.Redis, keys: Keys, traffic: Traffic, settings: dict[str, Any], log: Path
    ) -> None:
        self._client, self._keys, self._traffic = client, keys, traffic
        self._settings, self._log = settings, log
        self._fed = 0
        self._worker = worker_process(settings, log)

    def feed(self, number: int, *, drifted: bool = False) -> None:
        entries = self._traffic.take(number, drifted=drifted)
        append(self._client, self._keys.log(NAME, 0), entries, with_ids=False)
        self._fed += number

    def wait_until_judged(self) -> None:
        def judged() -> bool:
            done = arrived(self._client, self._keys, NAME) >= self._fed
            return done and judged_all(self._client, self._keys, NAME)

        wait_for(judged, f"{self._fed} predictions to be judged", PATIENCE_S)

    def kill(self) -> None:
        """Kill the worker, and start another one."""
        end(self._worker, signal.SIGKILL)
        self._worker = worker_process(self._settings, self._log)

    def close(self) -> None:
        end(self._worker)

    def told(self, *changes: str) -> list[Incident]:
        """Return the transitions of drift that people are to be told of."""
        entries: Any = self._client.xrange(self._keys.incidents(NAME))
        events = [msgspec.json.decode(fields[b"e"], type=CloudEvent) for _, fields in entries]
        found = [msgspec.json.decode(one.data, type=Incident) for one in events]
        drift = [one for one in found if one.kind == "model" and one.notify]
        return [one for one in drift if not changes or one.change in changes]


@pytest.fixture
def story(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, receivers: Receivers
) -> Iterator[Story]:
    trained = train(None, seed=0, rows=20_000)
    registry = ModelRegistry(tmp_path / "registry")
    version = registry.load(NAME, store(MODEL, trained, registry))
    client.hset(keys.versions(NAME), version.manifest.version, version.pack())
    client.sadd(keys.models, NAME)
    settings = settings_of(
        redis_url,
        keys,
        lease_ms=1000,
        commit_ms=100,
        expected_events_per_day=100_000,
        policy_file=str(receivers.policy),
        public_url="https://drift.example",
    )
    start_ms = int(time.time() * 1000) - 3_600_000
    traffic = Traffic(trained, version.manifest.version, start_ms)
    found = Story(client, keys, traffic, settings, tmp_path / "worker.log")
    try:
        yield found
    finally:
        found.close()


@pytest.mark.long
def test_the_demos_fault_reaches_the_person_on_call_once(
    story: Story, receivers: Receivers
) -> None:
    """One incident is one message at each, which is brought up to date, in place where the receiver
    can, and is over at the end. What was sent twice because of a kill has the same key.
    """
    story.feed(CALM)
    story.wait_until_judged()
    story.feed(DRIFTED, drifted=True)
    wait_for(lambda: story.told("opened"), "the incident", PATIENCE_S)
    story.kill()
    alerts = wait_for(receivers.alerts.alerts, "Alertmanager", PATIENCE_S)
    story.kill()
    story.wait_until_judged()
    story.feed(AFTER)
    story.kill()
    for _ in range(MOST_AFTER):
        story.wait_until_judged()
        if story.told("resolved"):
            break
        story.feed(AFTER)
    (incident,) = {one.id for one in story.told()}
    last = f"{incident}-{story.told('resolved')[-1].number}"
    for keys in (machine_keys, mail_keys, chat_keys):
        wait_for(lambda keys=keys: last in keys(receivers), f"the end at {keys}", PATIENCE_S)
    wait_for(lambda: not receivers.alerts.alerts(), "the end at Alertmanager", PATIENCE_S)

    allowed = [f"{incident}-{one.number}" for one in story.told()]
    assert len(allowed) >= 3, "it began, it got worse or its cause was found, and it ended"
    for told in (machine_keys(receivers), mail_keys(receivers)):
        once = list(dict.fromkeys(told))
        assert once == [key for key in allowed if key in once], "in order, and nothing else"
        assert len(once) >= 3
        assert len(told) - len(once) <= KILLS
    assert [one["labels"]["incident"] for one in alerts] == [incident]
    _check_mails(receivers.box)
    _check_chat(receivers.slack, incident)


def machine_keys(receivers: Receivers) -> list[str]:
    return [one.headers["webhook-id"] for one in receivers.webhook.received]


def mail_keys(receivers: Receivers) -> list[str]:
    names = [str(mail["Message-ID"]) for mail in receivers.box.mails]
    return [name.strip("<>").partition("@")[0] for name in names]


def chat_keys(receivers: Receivers) -> list[str]:
    messages = receivers.slack.messages.values()
    return [one["metadata"]["event_payload"]["key"] for one in messages]


def _check_mails(box: Mailbox) -> None:
    """One conversation, with the picture and the page of the incident, encrypted, to both."""
    first = box.mails[0]
    later = [mail for mail in box.mails if mail["Message-ID"] != first["Message-ID"]]
    assert {mail["References"] for mail in later} == {first["Message-ID"]}
    assert {mail["Subject"] for mail in later} == {f"Re: {first['Subject']}"}
    assert {tuple(one) for one in box.receivers} == {("ann@plant.example", "bob@plant.example")}
    assert all(box.encrypted)
    for mail in box.mails:
        text = mail.get_body(["plain"])
        assert text is not None
        assert "https://drift.example/dashboard/incidents/" in text.get_content()
    kinds = [part.get_content_type() for mail in box.mails for part in mail.walk()]
    assert "image/png" in kinds


def _check_chat(slack: SlackService, incident: str) -> None:
    """One message, which says in the end that it is over."""
    payloads = [one["metadata"]["event_payload"] for one in slack.posted]
    assert {one["incident"] for one in payloads} == {incident}
    assert len({one["key"] for one in payloads}) == 1
    assert len(payloads) <= 1 + KILLS
    final = list(slack.messages.values())[-1]
    assert final["blocks"][0]["text"]["text"].endswith("steel: it is over")
    assert slack.changes
