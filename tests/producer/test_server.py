import logging
import socket
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from driftgauge.producer.commands.serve import serve
from driftgauge.producer.server import check_host
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.settings import Settings
from tests.producer.conftest import api_process


def test_other_machines_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Without keys the API listens on loopback only, unless told that something protects it; then
    it warns.
    """
    result = CliRunner().invoke(serve, ["--host", "0.0.0.0"])  # noqa: S104  that it is refused is the point
    assert isinstance(result.exception, ConfigurationError)
    with caplog.at_level(logging.WARNING):
        check_host("0.0.0.0", insecure=False, keys=True)  # noqa: S104
        assert "without keys" not in caplog.text
        check_host("0.0.0.0", insecure=True, keys=False)  # noqa: S104
    assert "without keys" in caplog.text


def test_a_port_in_use_is_one_clear_error() -> None:
    """A port that is taken is named, with what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(serve, ["--port", str(taken.getsockname()[1])])
    assert isinstance(result.exception, ConfigurationError)
    assert "--port" in str(result.exception)


@pytest.mark.usefixtures("linear")
def test_stops_promptly_with_open_subscriptions(settings: Settings, tmp_path: Path) -> None:
    """The server ends within seconds although a client follows; the client sees the stream's
    regular end.
    """
    with (
        api_process(settings, tmp_path) as (url, process),
        httpx.Client(base_url=url, trust_env=False) as http,
        http.stream("GET", "/alerts/stream") as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == ": following"
        process.terminate()
        process.wait(60)
        assert len(list(lines)) == 2
    assert "graceful shutdown exceeded" not in (tmp_path / "api.log").read_text()
