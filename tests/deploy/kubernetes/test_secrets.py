"""The script that makes the Secrets of the small overlay."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from driftgauge.shared.access.key_file import read_keys
from tests.deploy.kubernetes.rendered import KUBERNETES, PATIENCE_S, container, named, ours, pod
from tests.places import ROOT

pytestmark = pytest.mark.long  # they need the extra `deploy`

KUBECTL = """#!/bin/sh
echo "$*" >>"$TOLD/arguments"
name=$6
mkdir "$TOLD/$name"
cp -R "${7#--from-file=}" "$TOLD/$name/"
"""
"""Stands for kubectl: notes its arguments, and keeps the files of a Secret."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the script; return what kubectl was told, and what the script says."""
    folder = tmp_path_factory.mktemp("secrets")
    programs, told = folder / "bin", folder / "told"
    programs.mkdir()
    told.mkdir()
    scripts: Mapping[str, str] = {
        "kubectl": KUBECTL,
        "driftgauge": f'#!/bin/sh\nexec {sys.executable} -m driftgauge "$@"\n',
    }
    for name, text in scripts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(KUBERNETES / "secrets.sh")],
        env={**os.environ, "PATH": path, "TOLD": str(told), "TMPDIR": str(folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert {one.name for one in folder.iterdir()} == {"bin", "told"}, "files are left behind"
    return told, done.stdout


def test_it_makes_what_the_pods_ask_for(made: tuple[Path, str]) -> None:
    """Each Secret that the overlay names is made, with the keys that are read of it."""
    told, _ = made
    api, _ = ours("small")
    password = container(named("small", "StatefulSet", "-redis"))["env"][0]
    service = named("small", "Service", "-redis")["metadata"]["name"]
    asked = password["valueFrom"]["secretKeyRef"]
    environment = told / asked["name"] / asked["name"]
    assert {"secretRef": {"name": asked["name"]}} in container(api)["envFrom"]
    word = (environment / asked["key"]).read_text()
    assert len(word) == 48
    assert (environment / "DRIFTGAUGE_REDIS_URL").read_text() == f"redis://:{word}@{service}:6379/0"
    (keys,) = [one["secret"] for one in pod(api)["volumes"] if one["name"] == "keys"]
    assert (told / keys["secretName"] / "keys.json").is_file()


def test_its_keys_open_the_api(made: tuple[Path, str]) -> None:
    """The administrator's key is shown, Prometheus's is in its Secret, and the file has both."""
    told, said = made
    held = read_keys(told / "driftgauge-keys" / "keys.json")
    assert held is not None
    ids = {key.name: (key.id, key.scopes) for key in held.keys}
    scraper = (told / "driftgauge-scrape" / "scrape" / "key").read_text()
    assert ids == {
        "prometheus": (scraper.split("_")[1], ("read",)),
        "administrator": (said.rpartition(" dg_")[2].split("_")[0], ("admin",)),
    }
    assert "\n" not in scraper


def test_no_secret_is_an_argument(made: tuple[Path, str]) -> None:
    """Whoever lists the processes of the machine sees no password."""
    told, said = made
    arguments = (told / "arguments").read_text()
    word = (told / "driftgauge" / "driftgauge" / "VALKEY_PASSWORD").read_text()
    assert word not in arguments + said
    assert arguments.count("create secret generic") == 3
    assert "dg_" not in arguments
