"""Promises of `driftgauge keys`."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from driftgauge.producer.commands.keys import keys, lifetime


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


def test_keys_are_made_listed_and_revoked_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that makes keys gets the key alone on standard output, and nobody its digest."""
    monkeypatch.setenv("DRIFTGAUGE_KEYS_FILE", str(tmp_path / "keys.json"))

    def said(*arguments: str) -> Any:
        done = CliRunner().invoke(keys, [*arguments, "--json"], catch_exceptions=False)
        assert "digest" not in done.stdout
        return msgspec.json.decode(done.stdout)

    made = said("create", "shop", "--scope", "read", "--scope", "predict")
    assert (made["name"], made["scopes"], made["expires"]) == ("shop", ["predict", "read"], None)
    assert made["key"].startswith("dg_")
    assert [one["name"] for one in said("list")] == ["shop"]
    assert said("revoke", "shop")["revoked"]["name"] == "shop"
    assert said("list") == []
