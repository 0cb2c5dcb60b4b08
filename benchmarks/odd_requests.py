"""Requests that nobody would send, for the routes of the API."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

FORMS: Final = (
    "application/json",
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
    "a" * 200,
)
ODD: Final[Sequence[str]] = (
    "", " ", "0", "-1", "1e999", "NaN", "null", "true", "[]", "../../etc/passwd", "%00", "\x00",
    "\u202e", "\U0001f600", "é", "a" * 5000, "1.0.0", "linear", "classes", "kind", "<script>",
    "'\"`;--", "9" * 400, "2025-11-20T20:15:00Z", "0-0", "99999999999999999999-1", "=1+1", "${7*7}",
    "{{7*7}}", "latest", "all", ".", "..", "//", "\\", "\r\nX: y", "0" * 16, "csv", "json", "html",
)  # fmt: skip
HEADERS: Final = (
    "accept", "accept-language", "prefer", "last-event-id", "if-none-match", "range", "origin",
    "sec-fetch-site", "x-request-id", "x-forwarded-for", "x-forwarded-prefix", "hx-request",
    "hx-target", "hx-current-url", "cookie", "content-encoding", "if-match", "expect", "te",
)  # fmt: skip
SAMPLES: Final[Sequence[Any]] = (
    {"features": {"x": 1.5, "y": 2}},
    {"features": {"x": 1.5, "y": 2}, "model": "linear", "version": "1.0.0", "id": "a"},
    [{"features": {"x": 1, "y": 2}, "prediction": 3.5, "model": "linear"}],
    [{"features": {"x": 1, "y": 2}, "prediction": "up", "model": "classes", "time": 1}],
    {"prediction_id": "a", "label": 1.5, "model": "linear"},
    [{"prediction_id": "a", "label": "up", "model": "classes"}] * 3,
    {"model": "linear", "rows": [{"x": 1, "y": 2}, {"x": "a"}]},
    {"version": "1.0.0", "reason": "r", "to": "staging", "force": True},
    {"action": "silence", "until": "2h", "reason": "r", "features": ["x"]},
)
FITTING: Final = {
    "/predict": SAMPLES[:2],
    "/events": SAMPLES[2:4],
    "/labels": SAMPLES[4:6],
    "/predict_batch": SAMPLES[6:7],
}
"""Bodies that a route takes."""
TABLES: Final = (
    b"x,y\n1,2\n3,4\n",
    b"prediction_id,label\na,1.5\n\nb,2\n",
    b'{"x": 1, "y": 2}\n{"x": NaN}\n',
    b"key=dg_a_b&next=/",
    b"PAR1" + bytes(64) + b"PAR1",
    b"\xff\xff\xff\xff" + bytes(64),
    b"\x1f\x8b" + bytes(64),
)


@dataclass(frozen=True)
class Route:
    """A route of the app: its path with places for parameters, its methods, and who may use it."""

    path: str
    methods: tuple[str, ...]
    needed: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    documented: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The media types of each status of its description; none if it is not described, as pages are
    not.
    """


class Fuzzer:
    """Draws requests for the routes of an app.

    Parameters
    ----------
    routes
        What the app has.
    keys
        A key for each scope.
    seed
        Repeats a run.
    """

    def __init__(self, routes: Sequence[Route], keys: dict[str, str], seed: int) -> None:
        self.routes = routes
        self._keys = keys
        self._random = random.Random(seed)

    def draw(self, route: Route | None = None) -> tuple[Route, str | None, dict[str, Any]]:
        """Draw a request: its route, the scope of its key (None without one), and what httpx
        needs.
        """
        route = route or self._random.choice(self.routes)
        method = self._random.choice(route.methods)
        if self._random.random() < 0.03:
            method = self._random.choice(("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"))
        scope = self._random.choice((*self._keys, "admin", "admin", None))
        headers = {name: _header(self._odd()) for name in self._some(HEADERS, 0.1)}
        if scope is not None:
            headers["authorization"] = f"Bearer {self._keys[scope]}"
        elif self._random.random() < 0.3:
            headers["authorization"] = f"Bearer {_header(self._odd())}"
        request: dict[str, Any] = {
            "method": method,
            "url": self._path(route),
            "params": {name: self._odd() for name in self._some(route.parameters, 0.5)},
        }
        if method in {"POST", "PUT", "PATCH"}:
            request["content"], headers["content-type"] = self._body(route)
        return route, scope, {**request, "headers": headers}

    def plain(self, route: Route, path: str) -> dict[str, Any]:
        """Make an ordinary request of a route by who may do everything."""
        headers = {"authorization": f"Bearer {self._keys['admin']}"}
        return {"method": route.methods[0], "url": path, "headers": headers}

    def _path(self, route: Route) -> str:
        parts = []
        for part in route.path.split("/"):
            odd = quote(self._odd(), safe="").lstrip(".") or "a"  # a client resolves `..` itself
            parts.append(odd if part.startswith("{") else part)
        return "/".join(parts)

    def _body(self, route: Route) -> tuple[bytes, str]:
        if route.path in FITTING and self._random.random() < 0.4:
            sample = self._random.choice(FITTING[route.path])
            whole = self._random.random() < 0.5
            found = sample if whole else self._mutated(sample, 0)
            return json.dumps(found).encode("utf-8", "replace"), FORMS[0]
        form = self._random.choice((*FORMS[:3], *FORMS))
        kind = self._random.random()
        if kind < 0.5:
            text = json.dumps(self._mutated(self._random.choice(SAMPLES), 0)).encode(
                "utf-8", "replace"
            )
        elif kind < 0.75:
            text = self._random.choice(TABLES)
        elif kind < 0.85:
            text = self._random.randbytes(self._random.choice((0, 1, 100, 10_000)))
        else:
            text = self._large()
        if self._random.random() < 0.3:
            text = self._damaged(text)
        return text, form

    def _large(self) -> bytes:
        """Draw a body of up to 2 MB that repeats something."""
        piece = self._random.choice(
            (b"[", b"[],", b"{", b'{"a":', b'"', b" ", b"\n", b"1,", b"a,", b"\\u0000", b"\xff",
             b'{"x":1,"y":2},', b'"a":1,', b"9", b"x,y\n", b",\n", b'""', b"NaN,")
        )  # fmt: skip
        head = self._random.choice((b"", b"[", b'{"rows":[', b'{"features":{', b"x,y\n", b"label,"))
        tail = self._random.choice((b"", b"]", b"}", b"}}", b"]}"))
        return head + piece * self._random.choice((100, 5000, 2_000_000 // len(piece))) + tail

    def _damaged(self, text: bytes) -> bytes:
        place = self._random.randrange(len(text) + 1)
        extra = self._random.choice(
            (b"", b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b",", b"]", b"}")
        )
        return text[:place] + extra + text[place + self._random.choice((0, 1, 7)) :]

    def _mutated(self, value: Any, depth: int) -> Any:
        if self._random.random() < 0.12:
            return self._value(depth)
        if isinstance(value, dict):
            found = {name: self._mutated(one, depth + 1) for name, one in value.items()}
            if self._random.random() < 0.1:
                found[self._odd()] = self._value(depth)
            if found and self._random.random() < 0.1:
                found.pop(self._random.choice([*found]))
            return found
        if isinstance(value, list):
            times = self._random.choice((1, 1, 1, 0, 30, 1500))
            return [self._mutated(one, depth + 1) for one in value] * times
        return value

    def _value(self, depth: int) -> Any:
        kind = self._random.randrange(9)
        if kind == 0 and depth < 5:
            return [self._value(depth + 1) for _ in range(3)]
        if kind == 1 and depth < 5:
            return {self._odd(): self._value(depth + 1) for _ in range(3)}
        numbers = (0, -1, 2**63, 10**400, 1e308, float("nan"), float("inf"), 0.1, -0.0)
        return self._random.choice(
            (self._odd(), *numbers, True, None, "\ud800", "2025-11-20T20:15", [], {})
        )

    def _odd(self) -> str:
        return self._random.choice(ODD)

    def _some(self, names: Sequence[str], share: float) -> list[str]:
        return [name for name in names if self._random.random() < share]


def _header(text: str) -> str:
    """Make text that a header can carry."""
    kept = "".join(letter for letter in text if " " <= letter <= "~")
    return kept.strip()[:2000] or "a"
