"""Events that are read in one go become what the checks field by field make of them."""

import asyncio
import json
from typing import Any, Final, cast

import msgspec
import numpy as np
import pytest

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.numbering import Numbering
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.routes.logged.events import Accepted, Reading, Understood
from driftgauge.producer.routes.logged.good_events import EventTypes
from driftgauge.producer.scoring.serving import ServedVersion, Serving
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest

NUMBERS: Final = Schema((Feature("x", "numeric"),), target="z")
MIXED: Final = Schema(
    (
        Feature("bounded", "numeric", minimum=-1, maximum=1),
        Feature("may be missing", "numeric", nullable=True),
        Feature("ü/~", "categorical", categories=("a", "b", "3")),
        Feature("code", "categorical", dtype="float64", nullable=True, marks=("?",)),
        Feature("paid", "boolean"),
        Feature("at", "timestamp", nullable=True),
        Feature("customer", "numeric", pii="hash"),
        Feature("email", "categorical"),
    ),
    "categorical",
    classes=("0", "1"),
)
LENIENT: Final = Schema(
    (Feature("x", "numeric"), Feature("y", "numeric", nullable=True)),
    None,
    extra="ignore",
    text_numbers="take",
)
GOOD: Final[dict[str, Any]] = {
    "bounded": 0.5, "may be missing": 2, "ü/~": "a", "code": 3, "paid": True,
    "at": "2025-11-20T12:00:00Z", "customer": 7, "email": "a@b.c",
}  # fmt: skip
ODD: Final[tuple[Any, ...]] = (
    None, 0, 1, -1, 3.0, 0.1, 2**53 + 1, 2**70, 1e308, -0.0, True, False, "", " ", "a", "3", "03",
    "0.5", "?", "true", "2025-11-20", "2025-11-20T12:00:00+01:00", 1763650000123, -5, "x" * 1100,
    "ä", "\ud83d\ude00", [], {}, [0.25, 0.75], [1, 0], [0.5, 0.6], [True, 0], "mixed", "1.0.0",
    "9.9.9", "online", "shadow", "odd", "ValueError",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)  # fmt: skip
FIELDS: Final = (
    "prediction", "error", "id", "time", "model", "version", "latency_ms", "source",
    "probabilities", "traceparent", "number", "own_id", "unknown",
)  # fmt: skip
TEXTS: Final = (
    b'[{"features": {"x": 1, "x": "no", "x": 2}, "prediction": 3}]',
    b'[{"features": {"x": 1}, "prediction": 1e999}, {"features": {"x": 2}, "prediction": 3}]',
    b'[{"features": {"x": 1}, "prediction": NaN}, {"features": {"x": 2}, "prediction": 3}]',
    b'[{"features": {"x": 1}, "prediction": 2, "id": "\xff"}]',
    b'[{"features": {"\\u0078": 1}, "prediction": 2, "id": "\\u00e4"}]',
    b'[{"features": {"x": 123456789012345678901234567890}, "prediction": 2}]',
    b'[{"features": {"x": 1}, "prediction": 2}] x',
    b'[{"features": {"x": 1}, "prediction": 2},]',
    b"[1, null, [], {}, " + b"[" * 600 + b"]" * 600 + b"]",
    b" [ ] ",
    b"[" + b"1," * 500 + b"1]",
    b"[" + b'{"features": {"x": 1}, "prediction": 2},' * 2000 + b"{}]",
    b"[" + b'{"features": {"x": 1}, "prediction": 2},' * 2000 + b"NaN]",
)


class Blind(EventTypes):
    """Types that read nothing, so that every event is checked field by field."""

    def of(self, served: ServedVersion, *, numbered: bool) -> Any:  # noqa: ARG002
        return self

    def read(self, *_: object) -> None:
        return None


class Noted(Refusals):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def take(self, model: str, events: int) -> None:
        self.told.append((model, events))

    def ignore(self, model: str, fields: int) -> None:
        self.told += [(model, "ignored", fields)] if fields else []

    def refuse(self, model: str, schema: Schema | None, faults: Any) -> None:
        self.told.append((model, schema is None, list(faults)))


class Production:
    """The versions in production, as `Serving` finds them."""

    def __init__(self, *schemas: tuple[str, Schema]) -> None:
        self.faults: dict[str, Any] = {}
        self.production = {name: _served(name, schema) for name, schema in schemas}

    def choose(self, model: str | None) -> ServedVersion:
        name = next(iter(self.production)) if model is None else model
        if name not in self.production:
            raise Problem(404, f"There is no model {name!r}.")
        return self.production[name]

    async def version(self, model: str, version: str) -> ServedVersion | None:
        return self.production[model] if version == "1.0.0" else None


def _served(name: str, schema: Schema) -> ServedVersion:
    random = np.random.default_rng(0)
    columns: list[Column] = [
        random.normal(size=50)
        if one.counted == "numeric"
        else np.array([str(at % 3) for at in range(50)], dtype=object)
        for one in schema.stream.features
    ]
    profile = build_profile(schema, columns, None)
    published = PublishedVersion(new_manifest(name, "1.0.0", "monitor"), schema, profile)
    return ServedVersion(published, b"", key="0123456789abcdef")


def read(
    serving: Production, body: bytes, types: EventTypes, numbering: Numbering | None
) -> tuple[Any, list[Any]]:
    """Return what a request becomes, without what is new in every run, and what was counted."""
    noted = Noted()
    reading = Reading(cast(Serving, serving), noted, types, numbering)
    try:
        found: Any = asyncio.run(reading.understand(body, 10_000))
    except Problem as problem:
        return (problem.status, problem.detail), noted.told
    return _plain(found, json_of(body)), noted.told


def json_of(body: bytes) -> list[Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _plain(found: Understood, items: list[Any]) -> Any:
    problem = found.problem and (found.problem.status, found.problem.detail, found.problem.errors)
    stated = [one for one in items if isinstance(one, dict)]
    with_time = all(one.get("time") is not None for one in stated)
    with_id = all(one.get("id") is not None for one in stated)
    events = [_without_now(one, with_time=with_time, with_id=with_id) for one in found.accepted]
    return events, found.rejected, found.numbers, found.refused, problem


def _without_now(accepted: Accepted, *, with_time: bool, with_id: bool) -> Any:
    served, event = accepted
    changes: dict[str, Any] = {} if with_time else {"time": 0}
    changes |= {} if with_id else {"id": ""}
    if isinstance(event, Prediction):
        changes["received"] = event.received is not None
    return served.model, msgspec.to_builtins(msgspec.structs.replace(event, **changes))


@pytest.mark.parametrize("numbering", [None, Numbering(b"publisher", "mixed", 4)])
def test_the_same_as_field_by_field(numbering: Numbering | None) -> None:
    """Whatever stands in an event, reading it in one go accepts it as the checks do, refuses it
    with the same words, and counts the same.
    """
    random = np.random.default_rng(5)
    serving = Production(("mixed", MIXED), ("lenient", LENIENT), ("numbers", NUMBERS))
    types, blind, accepted = EventTypes(), Blind(), 0
    for _ in range(1500):
        event: dict[str, Any] = {"features": dict(GOOD), "prediction": 1}
        event |= {"id": "a", "number": 7} if numbering else {}
        for _ in range(int(random.integers(0, 3))):
            odd = ODD[random.integers(len(ODD))]
            if random.random() < 0.5:
                event[FIELDS[random.integers(len(FIELDS))]] = odd
            else:
                event["features"][list(GOOD)[random.integers(len(GOOD))]] = odd
        body = json.dumps([event]).encode("utf-8", "surrogatepass")
        slow = read(serving, body, blind, numbering)
        assert read(serving, body, types, numbering) == slow, body
        accepted += bool(slow[0][0])
    assert 300 < accepted < 1200  # both happened often


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:40]))
def test_odd_texts(text: bytes) -> None:
    """A list that is no JSON, or only in parts, is answered as before."""
    serving = Production(("numbers", NUMBERS))
    assert read(serving, text, EventTypes(), None) == read(serving, text, Blind(), None)


def test_a_great_many_features() -> None:
    """Of 300 numbers, which are read from a mapping, the same holds."""
    features = tuple(
        Feature(f"f{at}", "numeric", nullable=at % 2 == 0, minimum=-1 if at < 9 else None)
        for at in range(300)
    )
    serving = Production(("wide", Schema(features)))
    good: dict[str, Any] = {feature.name: 0.5 for feature in features}
    types, accepted = EventTypes(), 0
    for place in (0, 1, 20, 21, 999):
        for odd in ODD:
            event = {"features": {**good, f"f{place}": odd}, "prediction": 1, "id": "a", "time": 5}
            body = json.dumps([event]).encode("utf-8", "surrogatepass")
            slow = read(serving, body, Blind(), None)
            assert read(serving, body, types, None) == slow, body
            accepted += bool(slow[0][0])
    assert accepted > 20
    less = {name: value for name, value in good.items() if name not in {"f1", "f2"}}
    for given in ({**less, "f1": 1}, {**less, "f2": 1}):
        body = json.dumps([{"features": given, "prediction": 1, "id": "a", "time": 5}]).encode()
        assert read(serving, body, types, None) == read(serving, body, Blind(), None)


def test_each_event_by_its_own_version() -> None:
    """In a list of several models each event is read by the type of the one it names, what names
    none by the default one's, and unknown fields that are ignored are counted.
    """
    serving = Production(("numbers", NUMBERS), ("lenient", LENIENT))
    events = [
        {"features": {"x": 1}, "model": "lenient", "time": 5, "id": "a"},
        {"features": {"x": "2", "z": 3}, "model": "lenient", "time": 5, "id": "b"},
        {"features": {"x": 3}, "prediction": 1, "time": 5, "id": "c"},
        {"features": {"x": 4}, "model": "lenient", "version": "2.0.0", "time": 5, "id": "d"},
        {"features": {"x": 5}, "prediction": 1, "model": "other", "time": 5, "id": "e"},
    ]
    body = json.dumps(events).encode()
    found, told = read(serving, body, EventTypes(), None)
    assert [(model, event["features"]) for model, event in found[0]] == [
        ("lenient", [1.0, None]),
        ("lenient", [2.0, None]),
        ("numbers", [3.0]),
    ]
    assert ("lenient", "ignored", 1) in told
    assert (found, told) == read(serving, body, Blind(), None)


def test_good_events_are_read_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list of good events none is checked field by field: that is what makes it fast."""

    async def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("an event was checked field by field")

    monkeypatch.setattr(Reading, "_checked", refuse)
    serving = Production(("mixed", MIXED))
    body = json.dumps([{"features": GOOD, "prediction": 1}] * 500).encode()
    found, _ = read(serving, body, EventTypes(), None)
    assert len(found[0]) == 500
