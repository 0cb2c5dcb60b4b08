"""`driftgauge models challenge`, as a person calls it."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from driftgauge.consumer.commands.models import models
from driftgauge.shared.errors import BadData, ConfigurationError, ModelNotFound
from tests.shared.archive.making import MODEL

POLICY = """
[models.plant.value]
unit = "EUR"
cost_per_unit_of_error = 0.3
"""


pytestmark = pytest.mark.usefixtures("rivalry")


def run(*given: str) -> Result:
    return CliRunner().invoke(models, ["challenge", MODEL, *given])


def test_the_verdict_comes_first() -> None:
    """A sentence with difference, interval and labels, a table of the segments, and what the
    comparison cannot tell; exit code 0 says better.
    """
    found = run("1.1.0")
    assert found.exit_code == 0, found.output
    verdict, *rest = found.stdout.splitlines()
    assert verdict.startswith("1.1.0 is better than 1.0.0 by 0.1")
    assert verdict.endswith("; safe to promote.")
    assert " of absolute error (" in verdict
    assert "), 2,100 labels; decided at label " in verdict
    assert rest[0].split() == ["1.0.0", "1.1.0", "better", "by", "95", "%", "labels"]
    assert any(line.startswith("city=oslo") and line.split()[-1] == "better" for line in rest)
    told = "\n".join(rest)
    assert "2025-11-20 12:10:00 UTC to 2025-12-11 07:50:00 UTC." in told
    assert "1.1.0 was trained then" in told
    assert "where a prediction changes what happens next" in told


def test_json_has_all_of_it() -> None:
    """One object, with the same exit code; too few rows decide nothing, which is code 4."""
    found = run("1.1.0", "--json", "--since", "2025-12-10", "--alpha", "0.01")
    told = msgspec.json.decode(found.stdout)
    assert found.exit_code == 4
    assert told["said"].startswith("Not decided yet: 1.1.0 may be ")
    assert (told["model"], told["champion"], told["challenger"]) == (MODEL, "1.0.0", "1.1.0")
    assert told["alpha"] == 0.01
    assert told["first"]["loss"]["name"] == "error"
    first = told["first"]["found"]
    assert first["labels"] == 135
    assert first["low"] < first["gain"] < first["high"]
    assert (first["verdict"], first["since"]) == ("undecided", None)


def test_the_policy_states_what_it_is_compared_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a cost of errors the verdict is in money, unless errors are asked for."""
    (tmp_path / "policy.toml").write_text(POLICY)
    monkeypatch.setenv("DRIFTGAUGE_POLICY_FILE", str(tmp_path / "policy.toml"))
    assert " EUR per 1,000 predictions (" in run("1.1.0").stdout.splitlines()[0]
    assert " of absolute error (" in run("1.1.0", "--by", "error").stdout.splitlines()[0]


def test_what_cannot_be_done_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version itself, one that is not there, one that answered nothing, and no archive."""
    for given, kind, words in (
        (("1.0.0",), BadData, "is the version that answered"),
        (("3.0.0",), ModelNotFound, "registered versions: 1.0.0, 1.1.0"),
        (("1.0.0", "--against", "1.1.0"), BadData, "no labelled predictions of plant 1.1.0"),
        (("1.1.0", "--since", "2026-01-05"), BadData, "wait for labels, or choose other times"),
    ):
        error = run(*given).exception
        assert isinstance(error, kind), given
        assert words in str(error)
    monkeypatch.delenv("DRIFTGAUGE_ARCHIVE_URL")
    assert isinstance(run("1.1.0").exception, ConfigurationError)
