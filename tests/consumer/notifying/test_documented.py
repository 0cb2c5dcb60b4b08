"""What docs/notifying.md shows is so."""

import re
from typing import get_args

from driftgauge.consumer.judging.rules.policy_file import read_policy
from driftgauge.consumer.notifying.choices import Choice
from driftgauge.consumer.notifying.targets.webhook import key_of_secret, signed
from tests.places import ROOT

PAGE = (ROOT / "docs" / "notifying.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  of an example


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_its_policy_files_can_be_used() -> None:
    """Each of them is read, and has routes."""
    found = [read_policy(text.encode(), "docs") for text in blocks("toml")]
    assert len(found) >= 2
    assert all(file.routes for file in found)
    assert [route.name for route in found[0].routes] == ["on-call", "day", "alertmanager"]


def test_it_has_an_example_of_each_kind_of_target() -> None:
    """Whoever wants one finds it."""
    files = [read_policy(text.encode(), "docs") for text in blocks("toml")]
    shown = {type(route.target) for file in files for route in file.routes}
    assert shown == set(get_args(Choice))


def test_its_receiver_tells_ours_from_others() -> None:
    """By the signature and the time, whatever part is another one."""
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)  # noqa: S102  our own page
    is_genuine = names["is_genuine"]
    assert callable(is_genuine)
    headers = signed(key_of_secret(SECRET), "a-1", 1000, b"{}")
    assert is_genuine(SECRET, headers, b"{}", 1000)
    assert is_genuine(SECRET, headers, b"{}", 1299)
    assert not is_genuine(SECRET, headers, b"{}", 1301)
    assert not is_genuine(SECRET, headers, b"{ }", 1000)
    assert not is_genuine(SECRET, headers | {"webhook-id": "a-2"}, b"{}", 1000)
    assert not is_genuine(SECRET, headers | {"webhook-timestamp": "1200"}, b"{}", 1200)
    assert not is_genuine("whsec_" + "A" * 32, headers, b"{}", 1000)
