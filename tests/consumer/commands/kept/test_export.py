"""`driftgauge export` and `driftgauge archive verify`, as a person calls them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from driftgauge.consumer.commands.kept.archive import archive
from driftgauge.consumer.commands.kept.export import export
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label
from driftgauge.shared.errors import BadData, ConfigurationError, ModelNotFound
from tests.shared.archive.making import DAY_MS, MODEL, NOON, prediction, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an archive of three days, with one label."""
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(tmp_path / "archive"))
    store = FolderStore(tmp_path / "archive")
    days = [prediction(day, NOON + day * DAY_MS) for day in range(3)]
    write(store, 0, days, [Label("id1", 7.0, NOON)])
    return tmp_path / "archive"


def test_a_range_is_exported_with_labels(folder: Path, tmp_path: Path) -> None:
    """Dates bound the rows; the number of rows goes to standard error, the rows to the file."""
    out = tmp_path / "out.csv"
    given = [MODEL, "--since", "2025-11-21", "--until", "2025-11-22", "--output", str(out)]
    found = CliRunner().invoke(export, given, catch_exceptions=False)
    assert found.output == f"1 predictions of {MODEL}.\n"
    head, row, *rest = out.read_text().splitlines()
    assert not rest
    assert head.split(",")[:3] == ['"id"', '"version"', '"time"']
    assert row.startswith('"id1","1.0.0","2025-11-21 12:00:00.000Z"')
    assert row.endswith(',7,"2025-11-20 12:00:00.000Z"')
    assert folder.is_dir()


def test_standard_output_has_the_rows_alone(folder: Path) -> None:
    """So they can be piped."""
    found = CliRunner().invoke(export, [MODEL, "--format", "jsonl"], catch_exceptions=False)
    assert [line[:10] for line in found.stdout.splitlines()] == [
        f'{{"id":"id{place}'[:10] for place in range(3)
    ]
    assert folder.is_dir()


def test_what_cannot_be_done_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is not there, a time that is none, no archive at all."""

    def error(*given: str) -> BaseException | None:
        return CliRunner().invoke(export, given).exception

    missing = error("nobody")
    assert isinstance(missing, ModelNotFound)
    assert str(missing) == f"{folder} has nothing of 'nobody': it has {MODEL}."
    assert isinstance(error(MODEL, "--since", "soon"), BadData)
    monkeypatch.delenv("DRIFTGAUGE_ARCHIVE_URL")
    assert isinstance(error(MODEL), ConfigurationError)


def test_a_damaged_file_costs_itself_and_the_exit_code(folder: Path) -> None:
    """All other rows are exported; `verify` names it too."""
    assert CliRunner().invoke(archive, ["verify"]).exit_code == 0
    first = min(folder.glob("predictions/*/*/*.parquet"))
    first.write_bytes(b"PAR1")
    found = CliRunner().invoke(export, [MODEL, "--format", "jsonl"])
    assert isinstance(found.exception, BadData)
    assert len(found.stdout.splitlines()) == 2
    assert str(first) in found.stderr
    checked = CliRunner().invoke(archive, ["verify", MODEL])
    assert isinstance(checked.exception, BadData)
    assert f"{first} was changed" in checked.stderr
    told = CliRunner().invoke(archive, ["verify", "--json"]).stdout
    assert '"files":4,"rows":4' in told
