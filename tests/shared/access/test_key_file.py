import hashlib
import json
import logging
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from driftgauge.producer.app import create_app
from driftgauge.producer.commands.keys import keys
from driftgauge.shared.access.key_file import KeySet, create_key, read_keys, revoke_key
from driftgauge.shared.access.key_ring import KeyRing
from driftgauge.shared.errors import BadData, ConfigurationError
from driftgauge.shared.settings import Settings


def test_a_key_is_shown_once_and_kept_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keys create` prints the key on a line of its own; neither the file nor `keys list` has it;
    revoking removes it.
    """
    path = tmp_path / "private" / "keys.json"
    monkeypatch.setenv("DRIFTGAUGE_KEYS_FILE", str(path))
    made = CliRunner().invoke(
        keys, ["create", "shop", "--scope", "read", "--scope", "predict", "--expires", "90d"]
    )
    text = made.stdout.strip()
    assert text.startswith("dg_")
    assert len(text.split("_", 2)[2]) == 43
    content = path.read_text()
    assert text not in content
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        not in CliRunner().invoke(keys, ["list", "--json"]).stdout
    )
    assert text.split("_", 2)[2] not in content
    assert hashlib.sha256(text.encode()).hexdigest() in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (listed,) = json.loads(CliRunner().invoke(keys, ["list", "--json"]).stdout)
    assert (listed["name"], listed["scopes"]) == ("shop", ["predict", "read"])
    expires = datetime.fromisoformat(listed["expires"])
    assert timedelta(days=89) < expires - datetime.now(UTC) <= timedelta(days=90)
    shown = CliRunner().invoke(keys, ["list"]).stdout
    assert "shop" in shown
    assert text not in shown
    assert "Revoked shop" in CliRunner().invoke(keys, ["revoke", "shop"]).stdout
    assert json.loads(CliRunner().invoke(keys, ["list", "--json"]).stdout) == []


def test_wrong_arguments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key needs a sound name of its own, a scope that exists, and a lifetime that can be read."""
    path = tmp_path / "keys.json"
    monkeypatch.setenv("DRIFTGAUGE_KEYS_FILE", str(path))
    for arguments in (
        ["a"],
        ["a", "--scope", "all"],
        ["a", "--scope", "read", "--expires", "soon"],
    ):
        assert CliRunner().invoke(keys, ["create", *arguments]).exit_code == 2
    assert not path.exists()
    create_key(path, "a", ("read",), None)
    with pytest.raises(BadData, match="already"):
        create_key(path, "a", ("read",), None)
    with pytest.raises(BadData, match="no name"):
        create_key(path, "a\nb", ("read",), None)
    with pytest.raises(BadData, match="The keys are: a"):
        revoke_key(path, "b")


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    """Keys that are made at once all stand in the file, under one session secret."""
    path = tmp_path / "keys.json"
    threads = [
        threading.Thread(target=create_key, args=(path, f"k{number}", ("read",), None))
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = read_keys(path)
    assert content is not None
    assert {key.name for key in content.keys} == {f"k{number}" for number in range(16)}


def test_only_the_whole_key_is_found(tmp_path: Path) -> None:
    """A key that differs in one character, a part of one, and strange bytes find nothing."""
    path = tmp_path / "keys.json"
    text = create_key(path, "a", ("read",), None).encode()
    content = read_keys(path)
    assert content is not None
    held = KeySet(content)
    found = held.find(text)
    assert found is not None
    assert found.name == "a"
    other = text[:-1] + (b"A" if text[-1:] != b"A" else b"B")
    for wrong in (other, text[:-1], text + b"x", text[:11], b"", b"\xff" * 60, text.upper()):
        assert held.find(wrong) is None


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Permissions for others are an error that says which command mends them; a group may read."""
    path = tmp_path / "keys.json"
    create_key(path, "a", ("read",), None)
    path.chmod(0o640)
    assert read_keys(path) is not None
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"permissions {mode:o}.*chmod 600"):
        read_keys(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"session_secret": "00"}',
        b'{"session_secret": "%s", "keys": [{"id": "a", "name": "a", "digest": "", "scopes": [], '
        b'"created": "2026-01-01T00:00:00Z"}]}' % (b"00" * 32),
        b'{"session_secret": "%s", "keys": [{"id": "a", "scopes": ["all"]}]}' % (b"00" * 32),
        b'{"session_secret": "%s", "keys": [{"id": "a", "name": "a", "digest": "%s", "scopes": ["read"], '  # noqa: E501  input as it comes
        b'"created": "2026-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00"}]}'
        % (b"00" * 32, b"00" * 32),
    ],
)
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    """A file that is no keys file is named with what to do, never taken as one without keys."""
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="damaged"):
        read_keys(path)
    with pytest.raises(ConfigurationError, match="damaged"):
        KeyRing(path)


def test_the_ring_never_opens_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a file the API is open; once it had one, a damaged file leaves its keys in force and
    a lost one none.
    """
    path = tmp_path / "keys.json"
    ring = KeyRing(path)
    assert ring.held is None
    text = create_key(path, "a", ("read",), None).encode()
    ring.refresh()
    assert ring.held is not None
    assert ring.held.find(text)
    sound = path.read_bytes()
    with caplog.at_level(logging.ERROR):
        path.write_bytes(b"{")
        ring.refresh()
        ring.refresh()
        assert ring.held.find(text)
        assert "damaged" in ring.fault
        path.write_bytes(sound)
        ring.refresh()
        assert ring.fault == ""
        path.unlink()
        ring.refresh()
    assert ring.held is not None
    assert ring.held.find(text) is None
    assert "gone" in ring.fault
    assert [record.message.split()[3] for record in caplog.records].count(str(path)) == 2
    create_key(path, "b", ("read",), None)
    ring.refresh()
    assert ring.fault == ""


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """`DRIFTGAUGE_KEYS_FILE` that names no file keeps the API from starting, since it would be open
    to everybody; the default file may be absent.
    """
    settings = Settings(keys_file=tmp_path / "absent.json", data_dir=tmp_path)
    with pytest.raises(ConfigurationError, match="DRIFTGAUGE_KEYS_FILE"):
        create_app(settings)
    create_app(settings.model_copy(update={"keys_file": None}))


@pytest.mark.parametrize("kind", ["pipe", "huge", "deep"])
def test_an_odd_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe is not waited for, 20 GB are not read, and deep JSON is a damaged file."""
    path = tmp_path / "keys.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(20 << 30)
    else:
        path.write_bytes(b"[" * 200_000)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        KeyRing(path)
