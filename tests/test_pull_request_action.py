"""The composite action that checks a pull request, its steps run as GitHub's runner would; and our
own workflow.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.places import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / ".github/actions/compare/action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
REFERENCE, CURRENT = "$(touch pwned).csv", "-b; touch pwned.csv"
COLUMN = "::error::<script>$(touch pwned)"
INPUT = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")


@dataclass(frozen=True)
class Ran:
    """What a step left behind."""

    code: int
    log: str
    summary: str
    output: str


def run(folder: Path, **inputs: str) -> Ran:
    """Run the comparison in a folder, as the runner does: a file of commands, for `bash -e`."""
    temporary = folder / "temporary"
    program = temporary / "driftgauge" / "bin" / "driftgauge"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m driftgauge "$@"\n')
    program.chmod(0o755)
    given = {name: one.get("default", "") for name, one in ACTION["inputs"].items()} | inputs
    (step,) = (one for one in STEPS if one.get("id") == "compare")
    script = temporary / "step.sh"
    script.write_text(step["run"])
    summary, output = temporary / "summary.md", temporary / "output"
    for file in (summary, output):
        file.unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=folder,
        env={
            **os.environ,
            **{
                name: INPUT.sub(lambda found: given[found[1]], to)
                for name, to in step["env"].items()
            },
            "RUNNER_TEMP": str(temporary),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(output),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    return Ran(done.returncode, done.stdout + done.stderr, summary.read_text(), output.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a reference, and the same rows with a shift; all names try to be something else."""
    found = tmp_path_factory.mktemp("files")
    values = np.random.default_rng(0).normal(size=2000)
    for name, shift in ((REFERENCE, 0.0), (CURRENT, 1.0)):
        lines = [f'"{COLUMN}"', *(f"{one:.5f}" for one in values + shift), ""]
        (found / name).write_text("\n".join(lines))
    return found


def test_no_text_of_others_is_in_a_script() -> None:
    """Inputs, and whatever else GitHub fills in, reach the shell as variables, and are not run."""
    for step in STEPS:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
        assert set(INPUT.findall(str(step["env"]))) <= set(ACTION["inputs"])


def test_the_same_rows_pass(folder: Path) -> None:
    """The job goes on, with the table in its summary and the exit code as an output."""
    ran = run(folder, reference=REFERENCE, current=REFERENCE)
    assert (ran.code, ran.output) == (0, "exit-code=0\n"), ran.log
    assert ran.summary.startswith("### Driftgauge: no drift found\n")
    assert "OK: none of 1 columns drifted" in ran.summary


def test_drift_fails_and_no_name_is_a_command_or_markup(folder: Path) -> None:
    """A pull request can name its files and columns as it likes: the job fails for the drift, by
    the limits of a line each, with the report in the file that was asked for.
    """
    ran = run(
        folder,
        reference=REFERENCE,
        current=CURRENT,
        limits="--fail-on critical\r\n  \n\n--timezone Europe/Berlin\n",
        report="the report.html",
    )
    assert (ran.code, ran.output) == (1, "exit-code=1\n"), ran.log
    assert ran.summary.startswith("### Driftgauge: drift\n")
    assert "&lt;script&gt;" in ran.summary
    assert "<script>" not in ran.summary
    stop = re.search(r"^::stop-commands::([0-9a-f]{32})$", ran.log, re.MULTILINE)
    assert stop is not None
    assert ran.log.index(stop[0]) < ran.log.index("::error::") < ran.log.index(f"::{stop[1]}::")
    assert "--timezone" not in ran.log
    assert (folder / "the report.html").stat().st_size > 1000
    assert list(folder.glob("pwned*")) == []


def test_our_own_workflow_trusts_nobody() -> None:
    """Actions of others are named by the commit that was looked at, the token reads alone and is
    not kept, no job runs for ever, and every Python that the project names is tried.
    """
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    workflow: dict[str, Any] = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    checks, benchmarks = (workflow["jobs"][name] for name in ("checks", "benchmarks"))
    for job in (checks, benchmarks):
        used = [step for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]) for step in used)
        assert used[0]["with"]["persist-credentials"] is False
        assert job["timeout-minutes"] <= 60
    assert set(workflow["jobs"]) == {"checks", "benchmarks"}
    assert checks["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert [step["run"] for step in checks["steps"] if "run" in step] == [".ci/run"]
    assert benchmarks["steps"][-1]["run"] == "make test-benchmarks"
