"""`driftgauge models explain`, as a person calls it."""

import msgspec
import pytest
from click.testing import CliRunner, Result

from driftgauge.consumer.commands.models import models
from driftgauge.shared.errors import BadData
from tests.shared.archive.making import MODEL

pytestmark = pytest.mark.usefixtures("rivalry")


def run(*given: str) -> Result:
    return CliRunner().invoke(models, ["explain", MODEL, *given])


def test_a_sentence_comes_first() -> None:
    """Then what each feature contributed before and since, and which rows were explained: a
    category is one feature, whatever the columns of its encoder.
    """
    found = run("--since", "2025-12-01", "--first", "2025-11-25")
    assert found.exit_code == 0, found.output
    said, heads, *rest = found.stdout.splitlines()
    assert said.startswith(f"{MODEL} 1.0.0: the mean prediction changed by ")
    assert heads.split()[-5:] == ["before", "since", "change", "95", "%"]
    assert {line.split()[0] for line in rest[:3]} == {"load", "heat", "city"}
    assert rest[3].startswith("before: 2025-11-25 00:00:00 UTC to 2025-11-30 23:50:00 UTC, mean ")
    assert rest[4].startswith("since: 2025-12-01 00:00:00 UTC to 2025-12-11 07:50:00 UTC, mean ")


def test_json_has_all_of_it() -> None:
    """One object, in which the changes of the features add up."""
    told = msgspec.json.decode(run("--since", "2025-12-01", "--version", "1.0.0", "--json").stdout)
    assert (told["model"], told["version"], told["scale"]) == (MODEL, "1.0.0", "prediction")
    changes = [one["found"]["change"] for one in told["features"]]
    assert sum(changes) == pytest.approx(told["found"]["change"])
    assert told["found"]["low"] < told["found"]["change"] < told["found"]["high"]
    assert told["since"]["mean"] - told["before"]["mean"] == pytest.approx(told["found"]["change"])


def test_a_version_that_answered_nothing_is_refused() -> None:
    """The message names those that did."""
    found = run("--since", "2025-12-01", "--version", "1.1.0")
    assert isinstance(found.exception, BadData)
    assert "it has those of 1.0.0" in str(found.exception)
