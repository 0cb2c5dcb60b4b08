"""What a message says, before any receiver's form."""

import pytest

from driftgauge.consumer.notifying.rendering.telling import tell
from driftgauge.consumer.notifying.rendering.text import as_text
from driftgauge.shared.contract.alert import Acknowledgement
from tests.consumer.notifying.messages import LINK, NOON, incident, message, opened, resolved, worse
from tests.consumer.notifying.nasty import NASTY, nasty


def test_a_message_says_what_happened_and_what_to_do() -> None:
    """Headline, action, effect, since, evidence and link are all there, in plain words."""
    assert as_text(tell(opened())).splitlines() == [
        "Since 20 Nov 12:01 UTC load reads about 0.51 (0.47 sd) too high.",
        "",
        "What to do: Check load at its source; if it is right, retrain on recent data.",
        "Effect on the model: MAE rose from 1.09 to 1.7 kWh",
        "Since: 20 Nov 12:01 UTC",
        "Evidence: 11 alerts, 1 of them over; load",
        "Model: steel 3.0.0",
        "",
        LINK,
    ]


@pytest.mark.parametrize(
    ("change", "is_first", "title"),
    [
        ("opened", True, "steel: new incident (critical)"),
        ("evidence", True, "steel: new incident (critical)"),
        ("reopened", True, "steel: it is back (critical)"),
        ("severity", False, "steel: it is worse (critical)"),
        ("cause", False, "steel: another cause was found (critical)"),
        ("reminder", False, "steel: it still lasts (critical)"),
        ("acknowledged", False, "steel: somebody has seen it (critical)"),
    ],
)
def test_a_title_says_what_changed(change: str, title: str, *, is_first: bool) -> None:
    """What was never told is new, whatever changed last."""
    assert tell(message(incident(change=change), is_first=is_first)).title == title


def test_what_is_over_needs_no_action_and_says_how_long_it_lasted() -> None:
    """A resolved incident is not coloured by its severity any more."""
    told = tell(resolved())
    assert (told.state, told.mood, told.title) == ("resolved", "over", "steel: it is over")
    facts = dict(told.facts)
    assert "What to do" not in facts
    assert facts["Lasted"] == "1\u00a0h, from 2025-11-20 12:01 to 2025-11-20 13:01 UTC"


def test_tests_repetitions_and_marks_are_told_as_such() -> None:
    """A test is not taken for an incident, a repetition is a reminder, and who has seen it is
    named.
    """
    told = tell(message(incident(headline="Test of a by ann."), is_test=True))
    assert (told.title, told.headline, told.facts) == ("This is a test", "Test of a by ann.", ())
    assert told.subject == "[test] Test of a by ann."
    assert tell(message(repeat=1)).state == "reminder"
    assert tell(worse()).state == "worse"
    mark = Acknowledgement("ann", "on it", NOON)
    assert dict(tell(opened(acknowledged=mark)).facts)["Seen by"] == "ann: on it"


def test_further_incidents_have_a_line_each_as_far_as_there_is_room() -> None:
    """A message of many incidents stays short, and says how many it does not name."""
    told = tell(message(others=(incident(model="oil"),) * 11))
    also = [text for title, text in told.facts if title == "Also"]
    assert len(also) == 9
    assert also[0].startswith("oil: Since 20 Nov")
    assert also[-1] == "3 more incidents"


@pytest.mark.parametrize("text", NASTY)
def test_a_strangers_text_is_one_short_line_without_a_link(text: str) -> None:
    """No line break, control character, reversed writing or address is left, and no length."""
    told = tell(nasty(text))
    words = [told.title, told.headline, told.subject, *(text for _, text in told.facts)]
    assert all(word.isprintable() or "\u00a0" in word or "\u200c" in word for word in words)
    assert all(len(word) < 700 for word in words)
    assert not any("://" in word or "www." in word.lower() for word in words)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://a b", 'https://a"b', "https://a<b", "ftp://a", "x" * 9]
)
def test_what_is_no_plain_address_is_no_link(link: str) -> None:
    """A link is http or https, and has no character that ends an attribute or a mention."""
    assert tell(message(link=link)).link == ""
