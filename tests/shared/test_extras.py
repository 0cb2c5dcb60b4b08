"""Promises of the extras: what is absent is named with its pip line."""

import re
import sys
import tomllib
from typing import get_args

import pytest

from driftgauge import __main__
from driftgauge.shared.errors import ConfigurationError, NotInstalled
from driftgauge.shared.extras import Extra, needs, pip_line
from tests.places import ROOT


@pytest.fixture(scope="module")
def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []
    return project["optional-dependencies"]


def test_every_extra_that_is_named_can_be_installed(extras: dict[str, list[str]]) -> None:
    """The extras that a message can name are those of pyproject.toml, and `all` is all of them."""
    assert set(get_args(Extra)) == set(extras) - {"all", "deploy", "docs", "examples", "test"}
    assert extras["all"] == [f"driftgauge[{','.join(get_args(Extra))}]"]
    assert "driftgauge[all]" in extras["test"]


def test_an_absent_package_is_named_with_its_pip_line() -> None:
    """It is a wrong configuration (exit code 78), and an ImportError for who goes on without."""
    with pytest.raises(NotInstalled, match=re.escape(pip_line("tune"))) as found, needs("tune"):
        import a_package_that_nobody_has.part  # type: ignore[import-not-found]  # noqa: F401
    assert "needs a_package_that_nobody_has:" in str(found.value)
    assert isinstance(found.value, ConfigurationError)
    assert isinstance(found.value, ImportError)


def test_an_absent_module_of_ours_is_a_fault_of_ours() -> None:
    """No pip line hides a module that is not where we import it from, nor a name that is not in
    it.
    """
    with pytest.raises(ModuleNotFoundError, match="driftgauge"), needs("server"):
        import driftgauge.shared.nothing  # type: ignore[import-not-found]  # noqa: F401
    with pytest.raises(ImportError) as found, needs("server"):
        from driftgauge.shared.errors import nothing  # type: ignore[attr-defined]  # noqa: F401
    assert not isinstance(found.value, NotInstalled)


@pytest.mark.parametrize(
    ("package", "command", "extra"),
    [("pandas", ["compare", "a.csv", "b.csv"], "server"), ("click", ["--version"], "server")],
)
def test_a_command_that_lacks_a_package_exits_78(
    package: str,
    command: list[str],
    extra: Extra,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A package that a command imports only when it runs is named as one that all of them need."""
    for name in [name for name in sys.modules if name.startswith("driftgauge.consumer.offline")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "argv", ["driftgauge", *command])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 78
    assert capsys.readouterr().err == f"driftgauge: This needs {package}: {pip_line(extra)}\n"
