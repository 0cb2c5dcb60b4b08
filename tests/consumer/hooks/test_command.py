"""The command of a hook: a real process."""

import logging
import sys
import threading
import time
from pathlib import Path

import pytest

from driftgauge.consumer.hooks.command import LINES, run_command
from driftgauge.consumer.judging.incidents.hooks import RETRAINING, ROLLBACK, Hook, Run

RUN = Run("the-id", '{"id": "the-id"}', 0, attempt=2)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize("hook", [RETRAINING, ROLLBACK])
def test_a_command_gets_the_incident_and_its_output_is_logged(
    caplog: pytest.LogCaptureFixture, hook: Hook
) -> None:
    """The incident is the standard input, id and attempt are in the environment, no shell expands
    an argument.
    """
    code = (
        "import os, sys; print(sys.stdin.read(), "
        f"os.environ['DRIFTGAUGE_{hook.setting.upper()}_ATTEMPT'], sys.argv[1])"
    )
    with caplog.at_level(logging.INFO, f"driftgauge.{hook.name}"):
        outcome = run_command(hook, (*python(code), "$HOME; `id`"), "m", RUN, 20, threading.Event())
    assert (outcome.ok, outcome.detail) == (True, "exit code 0")
    assert f'{hook.name} m: {{"id": "the-id"}} 2 $HOME; `id`' in caplog.messages


def test_a_command_gets_no_secret(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment has the settings that it works with and where programs are, and no secret of
    ours or of others.
    """
    # the last one is a name that a policy file gives to the secret of a route
    for name in ("PII_KEY", "API_KEY", "RETRAIN_WEBHOOK", "ROLLBACK_WEBHOOK", "SLACK_URL"):
        monkeypatch.setenv(f"DRIFTGAUGE_{name}", "a secret of 16 characters")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret of 16 characters")
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", "/registry")
    code = "import os; print(sorted(os.environ)); print([*os.environ.values()])"
    with caplog.at_level(logging.INFO, "driftgauge.retraining"):
        assert run_command(RETRAINING, python(code), "r", RUN, 20, threading.Event()).ok
    assert "secret" not in caplog.text
    for name in ("DRIFTGAUGE_REGISTRY_DIR", "DRIFTGAUGE_RETRAIN_ID", "PATH"):
        assert name in caplog.text


@pytest.mark.parametrize(
    ("command", "detail"),
    [
        (python("raise SystemExit(3)"), "exit code 3"),
        (("/no/such",), "not found"),
        (("/",), "not to be run"),
    ],
)
def test_a_command_that_fails_says_how(command: tuple[str, ...], detail: str) -> None:
    """Its exit code, or that it could not be started, is the outcome; nothing is raised."""
    outcome = run_command(RETRAINING, command, "r", RUN, 20, threading.Event())
    assert not outcome.ok
    assert detail in outcome.detail


def test_a_command_has_a_time_limit_and_takes_its_children_with_it(tmp_path: Path) -> None:
    """What a shell script started ends with it."""
    mark = tmp_path / "alive"
    child = (
        f"import pathlib, time\nwhile True: pathlib.Path({str(mark)!r}).write_text('x'); "
        "time.sleep(0.02)"
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    outcome = run_command(RETRAINING, python(code), "r", RUN, 1.5, threading.Event())
    assert (outcome.ok, outcome.detail) == (False, "ended after 1.5 s, its time limit")
    assert mark.exists()
    mark.unlink()
    time.sleep(0.2)  # ten times what the child would need
    assert not mark.exists()


def test_a_command_that_says_too_much_is_cut_in_the_log_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Endless output fills neither memory nor log, and does not block the command."""
    code = f"import sys; print('y' * 9000); [print(n) for n in range({2 * LINES})]"
    with caplog.at_level(logging.INFO, "driftgauge.retraining"):
        assert run_command(RETRAINING, python(code), "r", RUN, 20, threading.Event()).ok
    assert len(caplog.messages) == LINES + 1
    assert caplog.messages[-1].endswith("left out of the log")
    assert max(map(len, caplog.messages)) < 3000
