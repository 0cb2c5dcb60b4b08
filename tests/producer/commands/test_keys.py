"""Promises of `driftgauge keys`."""

from datetime import timedelta

import click
import pytest

from driftgauge.producer.commands.keys import lifetime


def test_a_lifetime_is_read() -> None:
    """Days, hours or minutes."""
    assert lifetime("90d") == timedelta(days=90)
    assert lifetime("12h") == timedelta(hours=12)
    assert lifetime("30m") == timedelta(minutes=30)


@pytest.mark.parametrize("text", ["", "0d", "9x", "-1d", "1.5h", "123456d", "1d "])
def test_a_malformed_lifetime_is_refused(text: str) -> None:
    """The message names it, and says what can be given."""
    with pytest.raises(click.BadParameter, match="is no lifetime: use days, hours or minutes"):
        lifetime(text)
