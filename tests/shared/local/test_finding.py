"""Where the commands find API, Redis and registry."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local.finding import find, url_option
from driftgauge.shared.local.running import (
    FILE,
    RunningDeployment,
    beside,
    claim,
    read_running,
    release,
)
from driftgauge.shared.settings import Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the data folder of the commands of a test, whose environment has nothing else."""
    for name in [name for name in os.environ if name.startswith("DRIFTGAUGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DRIFTGAUGE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def running(folder: Path, port: int = 8123, command: str = "up") -> RunningDeployment:
    settings = Settings(
        data_dir=folder,
        registry_dir=folder / "registry",
        redis_url="redis://ann:secret@127.0.0.1:7000/0",
        key_prefix="own",
        port=port,
    )
    return RunningDeployment.of(settings, command)


@click.command()
@url_option
def talk(url: str) -> None:
    click.echo(url)


def chosen(*arguments: str) -> tuple[str, str]:
    """Return the API that a command chooses, and what it says of it."""
    done = CliRunner().invoke(talk, arguments, catch_exceptions=False)
    return done.stdout.strip(), done.stderr.strip()


def test_a_command_finds_the_deployment_of_its_folder(folder: Path) -> None:
    """API, Redis, key prefix and registry are those that run there, and not the defaults."""
    assert claim(folder, running(folder)) is None
    found = find()
    assert found.api_url == "http://127.0.0.1:8123"
    assert found.settings.redis_url == "redis://ann@127.0.0.1:7000/0"
    assert found.settings.key_prefix == "own"
    assert found.settings.registry_dir == folder / "registry"


def test_two_deployments_are_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a first deployment at the usual port, a command of the second one's folder talks to
    the second, and says so.
    """
    other = folder.with_name("other")
    claim(other, running(other, port=8000))
    claim(folder, running(folder, port=8001))
    url, said = chosen()
    assert url == "http://127.0.0.1:8001"
    assert str(folder) in said
    monkeypatch.setenv("DRIFTGAUGE_DATA_DIR", str(other))
    assert chosen() == ("http://127.0.0.1:8000", "")


def test_the_environment_goes_before_the_file_and_an_option_before_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says where to go is followed; that the folder's own deployment is left aside for a
    setting is said.
    """
    claim(folder, running(folder))
    monkeypatch.setenv("DRIFTGAUGE_API_URL", "http://far:1")
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", "redis://far:2/0")
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", "elsewhere")
    url, said = chosen()
    assert url == "http://far:1"
    assert "DRIFTGAUGE_API_URL" in said
    assert "http://127.0.0.1:8123" in said
    found = find().settings
    assert (found.redis_url, found.registry_dir) == ("redis://far:2/0", Path("elsewhere"))
    assert found.key_prefix == "dg"  # the file's belongs to the file's Redis
    assert chosen("--url", "http://near:3") == ("http://near:3", "")


def test_a_file_that_nobody_keeps_leads_nowhere(folder: Path) -> None:
    """A deployment that was killed, or whose id another process has now, is not looked for; a
    command says that it is gone, and the next deployment takes its place.
    """
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for left in (
        msgspec.structs.replace(running(folder), pid=gone.pid),
        msgspec.structs.replace(running(folder), started="0"),
    ):
        folder.mkdir(exist_ok=True)
        (folder / FILE).write_bytes(msgspec.json.encode(left))
        url, said = chosen()
        assert url == "http://127.0.0.1:8000"
        assert "has ended" in said
        assert find().settings.redis_url is None
        assert claim(folder, running(folder)) is None
        assert find().deployment == running(folder)
        release(folder, running(folder))
    assert chosen() == ("http://127.0.0.1:8000", "")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"pid": 1}', b"\xff"])
def test_a_file_of_something_else_is_none(folder: Path, content: bytes) -> None:
    """A file that cannot be read fails no command."""
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    assert read_running(folder) is None
    assert chosen() == ("http://127.0.0.1:8000", "")


def test_the_file_is_its_users_own_and_holds_no_password(folder: Path) -> None:
    """Others on the machine read nothing in it, and who may read it finds no secret."""
    claim(folder, running(folder))
    path = folder / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"secret" not in path.read_bytes()


def test_a_folder_has_one_deployment(folder: Path) -> None:
    """A second one is told of the first, and changes nothing; beside it a demo goes on."""
    first = running(folder)
    claim(folder, first)
    second = msgspec.structs.replace(first, api="http://127.0.0.1:9")
    assert claim(folder, second) == first
    with beside(folder, second) as other:
        assert other == first
    assert read_running(folder) == first
    release(folder, first)
    assert read_running(folder) is None
    with beside(folder, second) as other:
        assert other is None
        assert read_running(folder) == second
    assert read_running(folder) is None


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    """The error says which folder, and which setting names another one."""
    folder.write_text("a file")
    with pytest.raises(ConfigurationError, match="DRIFTGAUGE_DATA_DIR") as caught:
        claim(folder, running(folder))
    assert str(folder) in str(caught.value)


def test_a_demo_is_named_as_one(folder: Path) -> None:
    """What is registered or posted beside a demo goes with it: that is said."""
    claim(folder, running(folder, port=8000, command="demo"))
    assert "demo" in chosen()[1]
