"""The stage of a route, turn by turn, with a target in memory."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from driftgauge.consumer.notifying.choices import Webhook
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.routes import Match, Route
from driftgauge.consumer.notifying.targets import building
from driftgauge.consumer.notifying.targets.base import Later, Target
from driftgauge.consumer.stages.routes import notifying, streams
from driftgauge.consumer.stages.routes.notifying import Notifying
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import ABOUT
from driftgauge.shared.errors import OwnershipLost
from driftgauge.shared.settings import Settings
from tests.consumer.notifying.builders import route, transition
from tests.integration.plant import settings_of, wait_for

MODEL = "plant"


class Remembering(Target):
    """Keeps what it was sent; `fault` may raise."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.is_closed = False
        self.fault: Callable[[Message], None] = lambda _: None

    def send(self, message: Message, receipt: str) -> str:
        self.sent.append(message)
        self.fault(message)
        return f"{receipt}r"

    def close(self) -> None:
        self.is_closed = True

    @property
    def keys(self) -> list[str]:
        return [one.key for one in self.sent]


class Played:
    """A stage, its route and its targets, the last one first."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.route: Route | None = route()
        self.targets: list[Remembering] = []
        self.client = raw_reads(connect(url))
        self.models = [MODEL]
        settings = Settings(
            **settings_of(url, keys, lease_ms=60_000, public_url="https://monitor.example/dg/")
        )
        self.stage = Notifying(
            "on-call",
            lambda _: self.client,
            settings,
            lambda: self.route,
            self.models,
            is_cluster=False,
        )

    def build(self, _: object) -> Target:
        self.targets.insert(0, Remembering())
        return self.targets[0]

    @property
    def target(self) -> Remembering:
        return self.targets[0]

    def own(self) -> None:
        """Take the lease and load."""
        assert self.stage.checkpoint.acquire()
        self.stage.load()

    def turns(self, enough: Callable[[], bool]) -> None:
        """Take turns until something is so."""
        wait_for(lambda: not self.stage.turn() and enough(), "what the turns bring")

    def close(self) -> None:
        self.stage.close()
        self.client.close()


@pytest.fixture
def played(redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    found = Played(redis_url, keys)
    monkeypatch.setattr(building, "build", found.build)
    yield found
    found.close()


def tell(client: redis.Redis, keys: Keys, *events: bytes, model: str = MODEL) -> None:
    for event in events:
        client.xadd(keys.incidents(model), {"e": event})


def test_a_message_has_link_time_and_receipt(
    client: redis.Redis, keys: Keys, played: Played
) -> None:
    """The receipt of one message goes with the next one of the incident, also after a reload."""
    tell(client, keys, transition("a/b", 1))
    played.own()
    played.turns(lambda: played.target.keys == ["a/b-1"])
    tell(client, keys, transition("a/b", 2, "resolved"))
    played.stage.load()
    played.turns(lambda: played.target.keys == ["a/b-1", "a/b-2"])
    first, _ = played.target.sent
    assert first.link == "https://monitor.example/dg/dashboard/incidents/a%2Fb"
    assert abs(first.sent / 1000 - time.time()) < 3600
    assert first.event == transition("a/b", 1)
    assert client.sismember(keys.routes, "on-call")
    assert client.hexists(keys.route("on-call"), ABOUT.decode())


def test_an_outcome_that_could_not_be_committed_is_not_sent_for_again(
    client: redis.Redis, keys: Keys, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is lost just after the message was taken: the same worker still knows the outcome."""
    tell(client, keys, transition("a", 1))
    played.own()
    commit = played.stage.checkpoint.commit

    def broken(*arguments: object) -> None:
        if played.targets and played.target.sent:
            raise OwnershipLost("as if Redis was lost")
        commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(played.stage.checkpoint, "commit", broken)
    with pytest.raises(OwnershipLost):
        wait_for(lambda: not played.stage.turn() and False, "the error")
    monkeypatch.undo()
    monkeypatch.setattr(building, "build", played.build)
    tell(client, keys, transition("b", 1))
    played.stage.checkpoint.release()
    played.own()
    played.turns(lambda: played.target.keys == ["a-1", "b-1"])


def test_a_fault_of_a_target_is_tried_again_without_its_words(
    client: redis.Redis, keys: Keys, played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that the target did not foresee says where it was, and nothing that it quotes."""
    tell(client, keys, transition("a", 1))
    played.own()

    def fail(_: Message) -> None:
        if len(played.target.sent) == 1:
            raise ValueError("geheim")

    played.target.fault = fail
    played.turns(lambda: played.target.keys == ["a-1", "a-1"])
    assert "a message could not be sent (ValueError)" in caplog.text
    assert "test_notifying.py" in caplog.text
    assert "geheim" not in caplog.text.replace('raise ValueError("geheim")', "")


def test_a_changed_route_has_another_target_and_its_old_ledger(
    client: redis.Redis, keys: Keys, played: Played
) -> None:
    """What was told stays told; the old target is closed; a route that is gone tells nothing."""
    tell(client, keys, transition("a", 1))
    played.own()
    played.turns(lambda: played.target.keys == ["a-1"])
    played.route = route(match=Match(severity="critical"))
    played.stage.load()
    tell(client, keys, transition("a", 2, "resolved"), transition("b", 1))
    played.turns(lambda: len(played.target.sent) == 2)
    assert sorted(played.target.keys) == ["a-2", "b-1"]
    assert [one.is_closed for one in played.targets] == [False, True]
    played.route = None
    played.stage.load()
    tell(client, keys, transition("c", 1))
    assert not played.stage.turn()
    assert not played.stage.positions
    assert played.targets[0].is_closed
    assert len(played.targets) == 2


def test_a_backlog_is_read_before_anything_is_told(
    client: redis.Redis, keys: Keys, played: Played
) -> None:
    """So of a long time without a worker only what still stands is told, of new models too."""
    for number in range(700):
        tell(client, keys, transition(f"i{number}", 1))
    for number in range(699):
        tell(client, keys, transition(f"i{number}", 2, "resolved"))
    played.own()
    played.turns(lambda: played.target.keys == ["i699-1"])
    tell(client, keys, transition("x", 1, model="later"), model="later")
    played.models.append("later")
    played.turns(lambda: played.target.keys == ["i699-1", "x-1"])


def test_incidents_without_end_do_not_keep_it_from_sending(
    client: redis.Redis, keys: Keys, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If there is always more to read, it sends all the same after a time."""
    monkeypatch.setattr(notifying, "CATCH_UP_S", 0.0)
    monkeypatch.setattr(streams, "AT_ONCE", 1)
    for number in range(3):
        tell(client, keys, transition(f"i{number}", 1))
    played.own()
    assert played.stage.turn()
    wait_for(lambda: played.target.keys == ["i0-1"], "the first one, before the others are read")


def test_a_lease_that_was_lost_while_sending_commits_nothing(
    client: redis.Redis, keys: Keys, played: Played
) -> None:
    """The new owner sends the message again; the old one's outcome is nobody's business."""
    tell(client, keys, transition("a", 1))
    played.own()
    played.target.fault = lambda _: client.set(keys.route_owner("on-call"), "another") and None
    with pytest.raises(OwnershipLost):
        wait_for(lambda: not played.stage.turn() and False, "the error")
    assert client.hexists(keys.route("on-call"), "flight")


def test_later_is_obeyed(client: redis.Redis, keys: Keys, played: Played) -> None:
    """The stage waits as long as the target asks for, and says when it goes on."""
    tell(client, keys, transition("a", 1))
    played.own()

    def later(_: Message) -> None:
        raise Later("status 429", 600)

    played.target.fault = later
    played.turns(lambda: len(played.target.sent) == 1)
    assert 500 < played.stage.due_at - time.monotonic() <= 600
    assert not played.stage.turn()
    assert len(played.target.sent) == 1


def test_another_secret_is_taken_without_a_restart(
    client: redis.Redis, keys: Keys, played: Played, tmp_path: Path
) -> None:
    """A secret file that is replaced is read before the next message; while it is away, or cannot
    be used, the secret before goes on.
    """
    secret = tmp_path / "url"
    secret.write_text("http://one.example/")
    played.route = route(target=Webhook(url_file=str(secret)))
    tell(client, keys, transition("a", 1))
    played.own()
    played.turns(lambda: played.target.keys == ["a-1"])
    secret.unlink()
    tell(client, keys, transition("b", 1))
    played.turns(lambda: played.target.keys == ["a-1", "b-1"])
    secret.write_text("http://two.example/")
    tell(client, keys, transition("c", 1))
    played.turns(lambda: played.target.keys == ["c-1"])
    assert [one.is_closed for one in played.targets] == [False, True]
