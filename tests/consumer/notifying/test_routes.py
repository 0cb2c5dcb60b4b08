"""The routes of the policy file, their secrets, and what is told of them."""

from pathlib import Path

import pytest

from driftgauge.consumer.judging.rules.policy_file import read_policy
from driftgauge.consumer.notifying.checking import require
from driftgauge.consumer.notifying.choices import Alertmanager, Webhook
from driftgauge.consumer.notifying.routes import Match, Quiet, Route
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.wording import about
from driftgauge.shared.errors import PolicyRefused

GOOD = b"""
[default]
cooldown_minutes = 5

[[routes]]
name = "on-call"
match = { models = ["steel*"], severity = "critical", kinds = ["model"], actions = ["retrain"] }
target = { type = "webhook", url_env = "ON_CALL_URL", secret_file = "/run/secrets/on-call" }
repeat_minutes = 240

[[routes.quiet]]
from = "22:00"
to = "07:00"
zone = "Europe/Berlin"
days = ["sat", "sun"]
critical = true

[[routes]]
name = "alerts"
[routes.target]
type = "alertmanager"
url = "http://alertmanager:9093"
labels = { team = "plant" }
"""
ONE = b'[[routes]]\nname = "r"\ntarget = { type = "webhook", url = "http://host/" }\n'


def test_a_file_of_routes_is_read() -> None:
    """Beside the rest of the policy."""
    one, other = read_policy(GOOD, "policy.toml").routes
    assert one == Route(
        name="on-call",
        match=Match(
            models=("steel*",), severity="critical", kinds=("model",), actions=("retrain",)
        ),
        target=Webhook(url_env="ON_CALL_URL", secret_file="/run/secrets/on-call"),  # noqa: S106  a path
        repeat_minutes=240,
        quiet=(
            Quiet(
                start="22:00", end="07:00", zone="Europe/Berlin", days=("sat", "sun"), critical=True
            ),
        ),
    )
    assert other.target == Alertmanager(url="http://alertmanager:9093", labels={"team": "plant"})
    assert other.match == Match()


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (GOOD.replace(b"critical = true", b"loud = true"), 16, "unknown field `loud`"),
        (GOOD.replace(b'"22:00"', b'"24:00"'), 12, "22:00|regex|pattern"),
        (GOOD.replace(b"Europe/Berlin", b"Europe/Atlantis"), 14, "no IANA time zone"),
        (GOOD.replace(b"Europe/Berlin", b"../../etc/passwd"), 14, "no IANA time zone"),
        (GOOD.replace(b'["sat", "sun"]', b"[]"), 15, "on no day"),
        (GOOD.replace(b'"alerts"', b'"on-call"'), 19, "has the name of another route"),
        (GOOD.replace(b'"alerts"', b'"On Call"'), 19, "regex|pattern"),
        (GOOD.replace(b'"alertmanager"', b'"pigeon"'), 21, "pigeon"),
        (
            GOOD.replace(b"http://alertmanager", b"ftp://alertmanager"),
            22,
            "no http or https address",
        ),
        (GOOD.replace(b"http://alert", b"http://ann:geheim@alert"), 22, "no http or https address"),
        (GOOD.replace(b'labels = { team = "plant" }', b"group_seconds = 5"), 23, "group_seconds"),
        (ONE + b"group_seconds = 5", 4, "gets each incident by itself"),
        (ONE + b"group_seconds = -1", 4, "group_seconds"),
        (ONE.replace(b'url = "http://host/"', b'url_env = ""'), 3, "needs one of `url`, `url_env`"),
        (ONE.replace(b" }", b', url_env = "A" }'), 3, "has both url and url_env"),
        (ONE.replace(b" }", b', secret = "geheim" }'), 3, "unknown field `secret`"),
        (ONE + b'match = { severity = "bad" }', 4, "severity"),
        (ONE + b"match = { models = [] }", 4, "models"),
        (ONE + b'match = { model = "steel" }', 4, "unknown field `model`"),
        (b"[routes]\nname = 1", 1, "routes"),
        (
            b"".join(ONE.replace(b'"r"', f'"r{place}"'.encode()) for place in range(101)),
            301,
            "more than 100 routes",
        ),
    ],
)
def test_a_fault_has_its_line_and_tells_no_secret(text: bytes, line: int, reason: str) -> None:
    """Whatever is wrong with a route, the error says at which line."""
    with pytest.raises(PolicyRefused, match=reason) as refused:
        read_policy(text, "policy.toml")
    assert refused.value.line == line
    assert "geheim" not in str(refused.value)


def test_a_secret_comes_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the line's end; a value in the file itself needs neither."""
    monkeypatch.setenv("HOOK", " http://host/geheim\n")
    (tmp_path / "hook").write_text("http://file/geheim\n")
    assert secret_of(Webhook(url_env="HOOK"), "url") == "http://host/geheim"
    assert secret_of(Webhook(url_file=f"{tmp_path}/hook"), "url") == "http://file/geheim"
    assert secret_of(Webhook(url="http://plain/"), "url") == "http://plain/"
    assert secret_of(Webhook(url="http://plain/"), "secret") == ""


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ('url_env = "NOT_THERE"', "the environment variable NOT_THERE, which is not set"),
        ('url_env = "EMPTY"', "the environment variable EMPTY, which is not set"),
        ('url_file = "{}/absent"', "cannot be read"),
        ('url_file = "{}"', "cannot be read"),
        ('url_file = "{}/empty"', "which is empty"),
        ('url_file = "{}/binary"', "which is no UTF-8 text"),
        ('url = "http://host/"\nsecret_env = "BAD"', "no `whsec_`"),
    ],
)
def test_a_missing_secret_refuses_the_file(
    field: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error names the route and the line, and no secret."""
    monkeypatch.setenv("EMPTY", " ")
    monkeypatch.setenv("BAD", "geheim")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    text = f'\n[[routes]]\nname = "r"\n[routes.target]\n{field.format(tmp_path)}\ntype = "webhook"'
    routes = read_policy(text.encode(), "policy.toml").routes
    with pytest.raises(PolicyRefused, match=reason) as refused:
        require(routes, text.encode(), "policy.toml")
    assert refused.value.line == (4 if "BAD" in field else 5)
    assert "'r'" in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_what_is_told_of_a_route_holds_no_secret() -> None:
    """Neither its representation nor its words have an address beyond the host."""
    target = Webhook(url="https://hooks.example/T0/geheim?token=geheim")
    route = Route(name="r", target=target, quiet=(Quiet(start="22:00", end="07:00"),))
    told = about(route, 5)
    assert "geheim" not in f"{target!r} {route!r} {told!r}"
    assert (told.kind, told.host, told.quiet) == ("webhook", "hooks.example", "22:00 to 07:00 UTC")
    assert about(Route(name="r", target=Webhook(url_env="X")), 5).host == ""
