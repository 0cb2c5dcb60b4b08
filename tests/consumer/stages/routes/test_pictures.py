"""The picture of an incident, from what stands in Redis."""

import logging
import sys
import threading
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.stages.routes import pictures
from driftgauge.consumer.stages.routes.pictures import Pictures
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import IncidentCause
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot, Window
from tests.consumer.notifying.messages import incident
from tests.shared.reporting.conftest import categorical, drifted

MAGIC = b"\x89PNG\r\n\x1a\n"
ABOUT: dict[str, Any] = {
    "snapshot": "steel-1.0.0-7",
    "cause": IncidentCause("feature", "f", "temperature"),
    "features": ["load_type"],
}


def snapshot(name: str) -> Snapshot:
    return Snapshot(
        id=name,
        model="steel",
        version="1.0.0",
        trigger="alert",
        created=1,
        severity="critical",
        verdict="",
        window=Window(0, 1, 2000, 8, 2000),
        reference_rows=5000,
        features=[categorical(), drifted()],
        prediction=None,
        alerts=[],
        events_per_day=1.0,
    )


@pytest.fixture
def drawing(client: redis.Redis, keys: Keys) -> Pictures:
    """Pictures of a model whose stream holds three snapshots and what is none."""
    for name in ("steel-1.0.0-6", "steel-1.0.0-7", "steel-1.0.0-8"):
        client.xadd(keys.snapshots("steel"), {"e": cloud_event(snapshot(name))})
    for entry in ({"e": b"junk"}, {"x": b"y"}, {"e": b'{"data": {"id": "steel-1.0.0-7"}}'}):
        client.xadd(keys.snapshots("steel"), entry)
    return Pictures(lambda _: client, keys)


def test_the_picture_is_of_the_cause_in_the_snapshot_that_is_named(drawing: Pictures) -> None:
    """Without a cause that can be drawn it is of the most changed column."""
    one = drawing.draw(incident(**ABOUT))
    other = drawing.draw(incident(**{**ABOUT, "cause": IncidentCause("feature", "f", "gone")}))
    assert one is not None
    assert other is not None
    assert one.startswith(MAGIC)
    assert other.startswith(MAGIC)
    assert one != other
    assert len(one) < 100_000


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot": ""},
        {"snapshot": "steel-1.0.0-9"},
        {"model": "../../steel"},
        {"model": "another"},
        {"cause": IncidentCause("operation", "f"), "features": []},
        {"cause": IncidentCause("feature", "f", "gone"), "features": ["gone too"]},
    ],
)
def test_where_there_is_none_there_is_no_picture(
    drawing: Pictures, changes: dict[str, Any]
) -> None:
    """A snapshot that is gone, a column that cannot be drawn and a name of nothing are no fault."""
    assert drawing.draw(incident(**{**ABOUT, **changes})) is None


def test_only_the_latest_snapshots_are_looked_through(
    drawing: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model with a thousand snapshots costs no more than one with a few."""
    monkeypatch.setattr(pictures, "MOST_SNAPSHOTS", 4)
    assert drawing.draw(incident(**{**ABOUT, "snapshot": "steel-1.0.0-6"})) is None


def test_a_fault_is_no_picture(
    drawing: Pictures, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names its kind, and not its words."""

    def fails(*_: object) -> None:
        raise ValueError("hush")

    monkeypatch.setattr(pictures, "write_feature_png", fails)
    with caplog.at_level(logging.WARNING):
        assert drawing.draw(incident(**ABOUT)) is None
    assert "ValueError" in caplog.text
    assert "hush" not in caplog.text


def test_a_picture_that_takes_too_long_is_left(
    drawing: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message does not wait for it, nor does the next one begin another beside it."""
    begun, end = list[int](), threading.Event()

    def hangs(*_: object) -> None:
        begun.append(1)
        end.wait(60)

    monkeypatch.setattr(pictures, "PATIENCE_S", 0.05)
    monkeypatch.setattr(pictures, "write_feature_png", hangs)
    assert drawing.draw(incident(**ABOUT)) is None
    assert drawing.draw(incident(**ABOUT)) is None
    assert len(begun) <= 1
    end.set()
    for thread in threading.enumerate():
        if thread.name == "drawing":
            thread.join(60)


def test_without_matplotlib_there_are_no_pictures(
    drawing: Pictures, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What to install is said once."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with caplog.at_level(logging.INFO):
        assert drawing.draw(incident(**ABOUT)) is None
        assert drawing.draw(incident(**ABOUT)) is None
    assert caplog.text.count("driftgauge[plot]") == 1


def test_a_snapshot_of_another_release_is_no_picture(
    client: redis.Redis, keys: Keys, drawing: Pictures
) -> None:
    """What cannot be decoded as a snapshot is no fault of the message."""
    stranger = msgspec.json.encode({"data": {"id": "s", "model": "steel", "version": "1"}})
    client.xadd(keys.snapshots("steel"), {"e": stranger})
    assert drawing.draw(incident(**{**ABOUT, "snapshot": "s"})) is None
