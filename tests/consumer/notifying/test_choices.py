"""The kinds of target, as the policy file says them."""

from typing import Any, get_args

import msgspec
import pytest

from driftgauge.consumer.notifying.choices import Choice
from driftgauge.consumer.notifying.routes import Route, faults
from driftgauge.consumer.notifying.targets.building import TARGETS

MAIL = {"type": "email", "host": "mx", "from": "a@plant.example", "to": ["b@plant.example"]}
WHOLE: list[dict[str, Any]] = [
    {"type": "webhook", "url": "http://a/b"},
    {"type": "alertmanager", "url": "http://a:9093"},
    {"type": "slack", "channel": "C1", "token_env": "T"},
    {"type": "slack-webhook", "url_env": "U"},
    {"type": "teams", "url_file": "/run/u"},
    {"type": "discord", "url_env": "U"},
    {"type": "pagerduty", "key_env": "K", "address": "https://events.eu.pagerduty.com"},
    {
        "type": "opsgenie",
        "key_env": "K",
        "address": "https://api.atlassian.com/jsm/ops/integration",
    },
    MAIL,
    {"type": "apprise", "url_env": "U"},
]


def found(target: dict[str, Any]) -> list[str]:
    route = msgspec.convert({"name": "a", "target": target}, Route)
    return [".".join(map(str, place)) for place, _ in faults([route])]


@pytest.mark.parametrize("target", WHOLE, ids=lambda one: str(one["type"]))
def test_the_least_that_each_kind_needs(target: dict[str, Any]) -> None:
    """Nothing else must be said; and no form of it shows what it holds."""
    assert found(target) == []
    route = msgspec.convert({"name": "a", "target": target}, Route)
    assert repr(route.target) == f"{type(route.target).__name__}(…)"


def test_every_kind_has_a_target() -> None:
    """A kind that the file may name can be built."""
    kinds = set(get_args(Choice))
    assert set(TARGETS) == kinds
    assert {kind.__struct_config__.tag for kind in kinds} == {one["type"] for one in WHOLE}


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ["a@b.example\r\nBcc: c@d.example"]},
        {"to": ["Ann <a@b.example>"]},
        {"to": ["a@b.example, c@d.example"]},
        {"to": []},
        {"from": "nobody"},
        {"host": "mx.example/x"},
        {"port": 0},
        {"security": "maybe"},
        {"password": "stands here"},
    ],
)
def test_mail_that_cannot_be_sent_is_refused(changes: dict[str, Any]) -> None:
    """An address is one address, without a name or a second header; a password has no place in the
    file.
    """
    with pytest.raises(msgspec.ValidationError):
        found({**MAIL, **changes})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"user": "u"}, "user"),
        ({"password_env": "P"}, "password_env"),
        ({"user": "u", "password_env": "P", "security": "none"}, "security"),
    ],
)
def test_a_login_is_whole_and_encrypted(changes: dict[str, Any], field: str) -> None:
    """A name without a password, the reverse, and a password in the clear are told by field."""
    assert [one.rpartition(".")[2] for one in found({**MAIL, **changes})] == [field]


@pytest.mark.parametrize(
    "address", ["ftp://a", "https://u:p@a", "https://a?key=1", "https://a b", "a"]
)
def test_an_address_of_a_service_holds_no_secret(address: str) -> None:
    """It is http or https, without a login and without a query."""
    with pytest.raises(msgspec.ValidationError):
        found({"type": "pagerduty", "key_env": "K", "address": address})
