"""The routes as they stand in the policy file and in Redis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.wording import about
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.fault import FIELD, StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import (
    ABOUT,
    STATUS,
    RouteAbout,
    RouteStatus,
)
from driftgauge.shared.moments import told
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.wording.times import moment

COLUMNS = ("route", "target", "takes", "waiting", "sent", "last sent", "dead letters", "state")


@dataclass(frozen=True)
class Listed:
    """A route, with what the worker tells of it: None if no worker has had it."""

    about: RouteAbout
    status: RouteStatus | None
    fault: str
    is_in_file: bool

    @property
    def target(self) -> str:
        """Kind and host of the target."""
        return f"{self.about.kind} {self.about.host}".strip()

    @property
    def state(self) -> str:
        """How the route does, in words."""
        if self.status is None:
            return "no worker has it"
        if self.fault:
            return f"the worker fails: {self.fault}"
        failure = self.status.failure
        if failure is not None:
            return f"fails since {moment(failure.since)}: {failure.reason}"
        return "ok" if self.is_in_file else "ok; not in the policy file here"

    @property
    def row(self) -> tuple[str, ...]:
        """The cells of its line."""
        status = self.status or RouteStatus()
        quiet = f"; quiet {self.about.quiet}" if self.about.quiet else ""
        return (
            self.about.name,
            self.target,
            self.about.matches + quiet,
            str(status.waiting),
            str(status.sent),
            moment(status.last_sent) if status.last_sent else "never",
            str(status.refused),
            self.state,
        )

    @property
    def document(self) -> dict[str, Any]:
        """The route as JSON values."""
        status = None if self.status is None else told(self.status)
        return {**told(self.about), "status": status, "state": self.state}


def listed(nodes: Nodes, keys: Keys, routes: Sequence[Route]) -> list[Listed]:
    """Return all routes of the policy file and of Redis, by name."""
    in_file = {route.name: route for route in routes}
    names: Any = nodes.shared(keys.routes).smembers(keys.routes)
    known = {name.decode(errors="replace") for name in names}
    return [
        found
        for name in sorted(known | set(in_file))
        if (found := _listed(nodes.shared(keys.route(name)), keys, name, in_file)) is not None
    ]


def _listed(
    client: redis.Redis, keys: Keys, name: str, in_file: Mapping[str, Route]
) -> Listed | None:
    packed: Any = client.hmget(keys.route(name), [ABOUT, STATUS, FIELD])
    route = in_file.get(name)
    described = about(route, 0) if route is not None else _read(packed[0], RouteAbout)
    if described is None:
        return None
    fault = _read(packed[2], StageFault)
    failing = fault.reason if fault is not None and not fault.over else ""
    return Listed(described, _read(packed[1], RouteStatus), failing, route is not None)


def _read(packed: bytes | None, kind: Any) -> Any:
    """Decode what the worker wrote; None if nothing is there that this release can read."""
    try:
        return msgspec.json.decode(packed, type=kind) if packed else None
    except UNREADABLE:  # another release's; it is only shown
        return None
