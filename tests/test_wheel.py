"""The wheel as its user gets it: installed from nothing but what the image copies, and used in a
folder whose names are those of our own folders.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import httpx
import numpy as np
import pytest

import driftgauge
from tests.integration.plant import wait_for
from tests.places import ROOT
from tests.test_architecture import PACKAGES

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
SETUPTOOLS = 77
"""The first release that can build the project, by pyproject.toml."""
OWN = ("models.py", "producer.py", "consumer.py", "shared/__init__.py", "tests/__init__.py")
CLIENT = "driftgauge/client"
NEED_NOTHING = ["AsyncMonitor", "Monitor", "register", "remove_personal"]
"""Names of the library that the base installation has; two need the frame that they are given."""
NOT_OURS = "raise SystemExit('a module of the user was imported')\n"


@dataclass(frozen=True)
class Installed:
    """A virtual environment that has the wheel, and the folder of its user."""

    scripts: Path
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return the test's own, without what would lead to the checkout."""
        return _outside() | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.scripts / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def python(self, source: str) -> list[str]:
        """Return the lines that a script prints which stands in the user's folder."""
        (self.folder / "script.py").write_text(source)
        done = self.run("python", "script.py")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from what the Dockerfile copies, as the image does; links stay links."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    lines = re.findall(
        r"^COPY (?!--from)(.+) (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    for names, place in lines:
        for name in names.split():
            _copy(ROOT / name, source / (name if place == "./" else place))
    has_setuptools = int(_version("setuptools").partition(".")[0]) >= SETUPTOOLS
    isolation = ["--no-build-isolation"] if has_setuptools else []
    _call([*PIP, "wheel", "--no-deps", *isolation, "--wheel-dir", str(target), str(source)])
    (built,) = target.iterdir()
    return built


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, symlinks=True, ignore=_left_out)


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Choose what .dockerignore names by its path, and bytecode."""
    listed = (ROOT / ".dockerignore").read_text().split()
    paths = {name: (Path(folder) / name).relative_to(ROOT).as_posix() for name in names}
    return {name for name, path in paths.items() if name == "__pycache__" or path in listed}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "0"


def _outside() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DRIFTGAUGE_", "PYTHON"))
    }


def _call(command: Sequence[str]) -> None:
    environment = _outside()  # pip takes what lies on PYTHONPATH for installed
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def _environment(folder: Path, wheel: Path) -> Installed:
    venv.create(folder / "venv", symlinks=True)
    scripts = folder / "venv" / "bin"
    install = ("install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    _call([*PIP, "--python", str(scripts / "python"), *install])
    own = folder / "own"
    for name in OWN:
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text(NOT_OURS)
    return Installed(scripts, own)


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel without any dependency."""
    return _environment(tmp_path_factory.mktemp("bare"), wheel)


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel where it finds the dependencies of the environment that runs the tests."""
    found = _environment(tmp_path_factory.mktemp("full"), wheel)
    (packages,) = found.scripts.parent.glob("lib/*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(paths))
    return found


def test_the_wheel_has_one_top_level_name(wheel: Path) -> None:
    """Beside its metadata the wheel holds `driftgauge` alone."""
    with zipfile.ZipFile(wheel) as packed:
        tops = {name.split("/")[0] for name in packed.namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"driftgauge"}


def test_the_wheel_has_every_file_and_no_link(wheel: Path) -> None:
    """Each module, page, picture, README and sample request of the folders is in the wheel as a
    file, and nothing else.
    """
    with zipfile.ZipFile(wheel) as packed:
        files = {
            one.filename for one in packed.infolist() if one.filename.startswith("driftgauge/")
        }
        kinds = {stat.S_IFMT(one.external_attr >> 16) for one in packed.infolist()}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES, CLIENT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    own = {
        f"driftgauge/{name}"
        for name in ("__init__.py", "__main__.py", "py.typed", "pytest_plugin.py")
    }
    assert files == own | {f"driftgauge/{name.removeprefix('driftgauge/')}" for name in listed}
    assert kinds <= {0, stat.S_IFREG}


def test_the_base_installation_imports_without_any_package(bare: Installed) -> None:
    """`import driftgauge` needs the standard library only, and loads little of it."""
    loaded = bare.python(
        "import sys\nbefore = set(sys.modules)\nimport driftgauge\n"
        "print(driftgauge.__file__)\nprint(*sorted(set(sys.modules) - before))"
    )
    assert Path(loaded[0]).is_relative_to(bare.scripts.parent)
    assert not {"asyncio", "dataclasses", "inspect", "logging", "urllib"} & set(loaded[1].split())


def test_the_client_needs_no_package(bare: Installed) -> None:
    """The base installation logs: what cannot be sent is in the spool; and importing the client
    loads nothing that takes long.
    """
    told = bare.python(
        "import sys\nbefore = set(sys.modules)\nfrom driftgauge.client import Monitor\n"
        "print(*sorted(set(sys.modules) - before))\n"
        "monitor = Monitor('http://127.0.0.1:9', 'steel', spool='spool')\n"
        "print(monitor.log({'x': 1}, 2, id='a'))\n"
        "print(monitor.stats['logged'])\n"
        "monitor.close(0.1)\n"
    )
    assert told[1:] == ["a", "1"]
    (file,) = (bare.folder / "spool").iterdir()
    assert b'"id":"a"' in file.read_bytes()
    slow = {"asyncio", "dataclasses", "http.client", "inspect", "logging", "pathlib", "ssl"}
    assert not slow & set(told[0].split())


def test_a_name_of_the_library_says_what_it_needs(bare: Installed) -> None:
    """Without the extra a name of the library is an ImportError with the pip line, but for those
    that talk to an API, or need nothing but the frame that they are given.
    """
    told = bare.python(
        "import driftgauge\nfor name in driftgauge.__all__:\n    try:\n"
        "        getattr(driftgauge, name)\n        print(name)\n"
        "    except ImportError as told:\n        print(told)\n"
    )
    asking = [line for line in told if line.endswith(": pip install 'driftgauge[server]'")]
    assert sorted(set(told) - set(asking)) == NEED_NOTHING
    assert len(asking) == len(driftgauge.__all__) - len(NEED_NOTHING)


@pytest.mark.parametrize(
    "command", [["driftgauge", "--version"], ["driftgauge", "up"], ["python", "-m", "driftgauge"]]
)
def test_a_command_says_what_it_needs(bare: Installed, command: list[str]) -> None:
    """Without the extra a command is one line with the pip line, and exit code 78."""
    done = bare.run(*command)
    assert (done.returncode, done.stdout) == (78, "")
    assert re.fullmatch(
        r"driftgauge: This needs \w+: pip install 'driftgauge\[server\]'\n", done.stderr
    )


def test_the_library_beside_modules_of_the_same_names(full: Installed) -> None:
    """The installed library is imported, whatever the user's own modules are called."""
    told = full.python(
        "import driftgauge\nprint(driftgauge.__file__)\n"
        "for name in driftgauge.__all__:\n    print(getattr(driftgauge, name).__module__)\n"
    )
    assert Path(told[0]).is_relative_to(full.scripts.parent)
    assert len(told) == 1 + len(driftgauge.__all__)
    assert all(line.startswith("driftgauge.") for line in told[1:])


def test_compare_beside_modules_of_the_same_names(full: Installed) -> None:
    """Two files are compared: the same rows are no drift (exit code 0), a shift is one (1)."""
    values = np.random.default_rng(0).normal(size=2000)
    for name, shift in (("a.csv", 0.0), ("b.csv", 1.0)):
        lines = [f"{value:.6f}" for value in values + shift]
        (full.folder / name).write_text("\n".join(["x", *lines, ""]))
    same = full.run("driftgauge", "compare", "a.csv", "a.csv")
    moved = full.run("driftgauge", "compare", "a.csv", "b.csv")
    assert (same.returncode, moved.returncode) == (0, 1), same.stderr + moved.stderr
    assert "x" in moved.stdout


def test_up_beside_modules_of_the_same_names(full: Installed) -> None:
    """Redis, API and worker start as processes of their own, answer, and end with the command."""
    log = full.folder / "up.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [full.scripts / "driftgauge", "up"],
            cwd=full.folder,
            env=full.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        told = wait_for(
            lambda: (
                re.search(r"API +(\S+)/docs[\s\S]*Ctrl-C", log.read_text())
                or running.poll() is not None
            ),
            "the API",
        )
        assert isinstance(told, re.Match), log.read_text()
        assert httpx.get(f"{told[1]}/readyz").raise_for_status().json()["status"] == "degraded"
    finally:
        running.terminate()
        assert running.wait(60) == 130, log.read_text()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{told[1]}/readyz")


@pytest.mark.long
def test_the_demo_beside_modules_of_the_same_names(full: Installed) -> None:
    """A model is trained, served and watched, and every prediction is counted."""
    done = full.run("driftgauge", "demo", "--events", "200", "--rate", "1000", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["published"] == result["counted"] == 200
