"""`driftgauge models`, as a user types it."""

import gzip
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import redis
from click.testing import CliRunner, Result
from sklearn.linear_model import LogisticRegression

from driftgauge.__main__ import cli
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.versions.gates import GateFailed

RANDOM = np.random.default_rng(4)
FRAME = pd.DataFrame(RANDOM.normal(size=(2400, 2)), columns=["x", "y"])
FRAME["kind"] = np.where(FRAME["x"] + RANDOM.normal(0, 0.3, 2400) > 0, "up", "down")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with training rows, validation rows, a good model and a bad one; the registry is
    below it.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    FRAME[:1200].to_csv("train.csv", index=False)
    FRAME[1200:].to_csv("valid.csv", index=False)
    joblib.dump(
        LogisticRegression().fit(FRAME[:1200][["x", "y"]], FRAME[:1200]["kind"]), "good.joblib"
    )
    joblib.dump(
        LogisticRegression().fit(
            FRAME[:1200][["x", "y"]], np.where(FRAME[:1200]["x"] > 0, "down", "up")
        ),
        "bad.joblib",
    )


def run(*words: str) -> Result:
    return CliRunner().invoke(cli(), ["models", *words])


def done(*words: str) -> str:
    """Run a command that succeeds, and give what it printed."""
    result = run(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(*words: str) -> DriftgaugeError:
    """Run a command that ends with a known error."""
    error = run(*words).exception
    assert isinstance(error, DriftgaugeError)
    return error


def register(artifact: str, *more: str) -> str:
    files = ("--artifact", artifact, "--reference", "train.csv", "--target-column", "kind")
    return done(
        "register", "wave", *files, "--max-latency-ms", "5000", *more
    )  # whatever else the machine does


def test_from_registration_to_rollback() -> None:
    """Register two versions, validate, promote both, roll back; each step is seen in list and
    history.
    """
    said = register(
        "good.joblib",
        "--gate",
        "accuracy>=0.8",
        "--gate",
        "log_loss<=0.6",
        "--metrics",
        "accuracy=0.9",
    )
    assert "wave 1.0.0 (binary, model.joblib): 2 features (2 numeric)" in said
    assert "models promote wave 1.0.0" in said
    validated = done("validate", "wave", "1.0.0", "--data", "valid.csv")
    assert "passes all 8 gates" in validated
    assert "wave 1.0.0 is in production." in done(
        "promote", "wave", "1.0.0", "--reason", "first", "--actor", "ann"
    )
    register("good.joblib")
    assert "2.0.0 is in production instead of 1.0.0" in done(
        "promote", "wave", "2.0.0", "--data", "valid.csv"
    )
    assert "wave 1.0.0 is in production instead of 2.0.0" in done(
        "rollback", "wave", "--reason", "slow", "--actor", "bob"
    )
    listed: list[dict[str, Any]] = json.loads(done("list", "--json"))
    assert [(row["version"], row["stage"]) for row in listed] == [
        ("1.0.0", "production"),
        ("2.0.0", "archived"),
    ]
    assert listed[0]["metrics"] == {"accuracy": 0.9}
    changes = json.loads(done("history", "wave", "--json"))
    assert [change["action"] for change in changes] == [
        "validate",
        "promote",
        "promote",
        "rollback",
    ]
    assert (changes[1]["actor"], changes[1]["reason"], changes[3]["actor"]) == (
        "ann",
        "first",
        "bob",
    )
    table = done("history", "wave")
    assert "1.0.0 → 2.0.0" in table
    assert "slow" in table


def test_segments_are_told() -> None:
    """What a model is parted by stands in what its registration prints, in `models show` and in its
    JSON.
    """
    FRAME[:1200].assign(plant=np.where(FRAME[:1200]["y"] > 0.5, "north", "south")).to_csv(
        "parted.csv", index=False
    )
    files = ("--reference", "parted.csv", "--prediction-column", "kind", "--segment", "plant")
    assert "Segments by plant: south, north, OTHER." in done("register", "watched", *files)
    assert "segments by plant: south, north, OTHER" in done("show", "watched")
    assert json.loads(done("show", "watched", "--json"))["schema"]["segments"] == ["plant"]
    assert "'x' cannot be a segment: it is numeric" in str(
        refused("register", "watched", *files, "--segment", "x")
    )


def test_a_failed_gate() -> None:
    """A bad version is refused with exit code 1 and every failed check; force with a reason
    overrules and is recorded.
    """
    register("good.joblib", "--promote")
    register("bad.joblib", "--gate", "accuracy>=0.8")
    result = run("validate", "wave", "2.0.0", "--data", "valid.csv")
    assert result.exit_code == 1, result.output
    for name in ("accuracy", "f1_weighted no worse than 1.0.0"):
        assert any("FAILED" in line and name in line for line in result.stdout.splitlines()), (
            result.stdout
        )
    found = json.loads(run("validate", "wave", "2.0.0", "--data", "valid.csv", "--json").stdout)
    assert (found["passed"], found["against"]) == (False, "1.0.0")
    error = refused("promote", "wave", "2.0.0", "--data", "valid.csv")
    assert isinstance(error, GateFailed)
    assert (error.exit_code, len(error.failed)) == (1, 3)
    answer = json.loads(run("promote", "wave", "2.0.0", "--json").stdout)
    assert answer["failed"][0]["name"] == "recorded validation"
    assert "give a reason" in str(refused("promote", "wave", "2.0.0", "--force"))
    assert json.loads(done("show", "wave", "--json"))["manifest"]["version"] == "1.0.0"
    said = done("promote", "wave", "2.0.0", "--data", "valid.csv", "--force", "--reason", "a test")
    assert "instead of 1.0.0, 3 failed gates overruled" in said
    assert "failed, overruled" in done("history", "wave")


def test_promotion_at_registration_runs_the_gates() -> None:
    """The quick start of a monitored model is one command; with too few rows it is stored but not
    promoted.
    """
    done(
        "register",
        "watched",
        "--reference",
        "train.csv",
        "--prediction-column",
        "kind",
        "--promote",
    )
    assert json.loads(done("show", "watched", "--json"))["stage"] == "production"
    FRAME[:50].to_csv("few.csv", index=False)
    few = ("register", "few", "--reference", "few.csv", "--prediction-column", "kind", "--promote")
    assert "reference rows 50 (required: >= 1000)" in str(refused(*few))
    assert json.loads(done("show", "few", "--json"))["stage"] == "none"
    assert "INSUFFICIENT_DATA" in done(*few, "--min-reference-rows", "50")


def test_tampering_is_named() -> None:
    """verify is silent about an intact model; after one changed byte it names the file and ends
    with 1, promote with 65.
    """
    register("good.joblib", "--promote")
    register("good.joblib")
    assert "every file of 2 versions" in done("verify", "wave")
    path = Path("registry/wave/2.0.0/model.joblib")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    result = run("verify", "wave")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "model.joblib of wave 2.0.0 is not the file that was registered" in result.stderr
    told = json.loads(run("verify", "wave", "--json").stdout)
    assert (told["sound"], len(told["faults"])) == (False, 1)
    assert "every file of 1 version " in done("verify", "wave", "1.0.0")
    assert refused("promote", "wave", "2.0.0").exit_code == 1
    assert refused("promote", "wave", "2.0.0", "--force", "--reason", "hurry").exit_code == 65
    assert json.loads(done("list", "--json"))[0]["stage"] == "production"


def test_archive_and_show() -> None:
    """An archived version is no target of a rollback; show tells manifest, gates and schema of a
    version.
    """
    register("good.joblib", "--promote", "--features-module", "models.wave", "--exclude", "y")
    register("good.joblib", "--promote")
    assert "a rollback goes to 1.0.0" in done("show", "wave")
    assert "wave 1.0.0 is archived." in done("archive", "wave", "1.0.0")
    assert refused("rollback", "wave").exit_code == 65
    shown = done("show", "wave", "1.0.0")
    for text in (
        "wave 1.0.0: archived",
        "models.wave",
        "max_latency_ms 5000",
        "excluded at registration",
        "1,200 reference rows",
    ):
        assert text in shown


def test_what_is_wrong_ends_with_its_code() -> None:
    """Unknown models and versions end with 66, unusable input with 65, and an empty registry says
    what to do.
    """
    assert "Register one with" in done("list")
    register("good.joblib")
    assert refused("show", "absent").exit_code == 66
    assert refused("show", "wave", "7.0.0").exit_code == 66
    assert refused("promote", "wave", "7.0.0").exit_code == 66
    assert refused("verify", "absent").exit_code == 66
    assert refused("validate", "wave", "1.0.0", "--data", "absent.csv").exit_code == 65
    for more in (
        ("--gate", "accuracy"),
        ("--metrics", "accuracy=high"),
        ("--metrics", "absent.json"),
    ):
        assert refused("register", "wave", "--reference", "train.csv", *more).exit_code == 65


def test_a_untrusted_text_is_only_text() -> None:
    """A reason with markup or terminal codes is shown as it is, without effect."""
    register("good.joblib", "--promote")
    register("good.joblib")
    done("promote", "wave", "2.0.0", "--reason", "[red]\x1b[31mhot[/red]")
    assert r"[red]\x1b[31mhot[/red]" in done("history", "wave")


def test_metrics_from_a_file() -> None:
    """A JSON file and single numbers add up."""
    Path("metrics.json").write_text('{"accuracy": 0.9, "f1": 0.8}')
    register("good.joblib", "--metrics", "metrics.json", "--metrics", "f1=0.7")
    assert json.loads(done("list", "--json"))[0]["metrics"] == {"accuracy": 0.9, "f1": 0.7}


def test_the_recipe_for_a_personal_column_stores_none_of_its_values(tmp_path: Path) -> None:
    """Writing the schema registers nothing, and with the column hashed no file of the registry
    holds one of its values.
    """
    people = FRAME[["x"]].assign(nick=[f"Zaphod {number % 7}" for number in range(2400)])
    people.to_csv("people.csv", index=False)
    words = ("register", "people", "--reference", "people.csv")
    assert "nothing was registered" in done(*words, "--write-schema", "people.json")
    assert not (tmp_path / "registry").exists()
    schema = json.loads(Path("people.json").read_text())
    for feature in schema["features"]:
        feature["pii"] = "hash" if feature["name"] == "nick" else "keep"
    Path("people.json").write_text(json.dumps(schema))
    runner = CliRunner(env={"DRIFTGAUGE_PII_KEY": "a secret of 16 characters"})
    result = runner.invoke(cli(), ["models", *words, "--schema", "people.json"])
    assert result.exit_code == 0, (result.output, result.exception)
    for path in (tmp_path / "registry").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert b"Zaphod" not in (gzip.decompress(content) if path.suffix == ".gz" else content)


def test_a_version_is_purged(
    tmp_path: Path, redis_url: str, prefix: str, client: redis.Redis, keys: Keys
) -> None:
    """Files and what Redis holds of it are gone, the history keeps that it was there, and its
    number is not used again; one that requests can reach is refused.
    """
    settings = {"DRIFTGAUGE_REDIS_URL": redis_url, "DRIFTGAUGE_KEY_PREFIX": prefix}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        registering = ("register", "m", "--reference", "train.csv", "--artifact", "good.joblib")
        for _ in range(2):
            done(*registering, "--target-column", "kind")
        done("promote", "m", "1.0.0", "--to", "staging")
        assert "is in staging" in str(refused("purge", "m", "1.0.0"))
        for version in ("1.0.0", "2.0.0"):
            client.hset(keys.versions("m"), version, b"packed")
            client.hset(keys.references("m"), f"{version}#1", b"packed")
            event = {"id": "a", "source": "b", "type": "c", "subject": "d", "time": "e"}
            data = json.dumps(event | {"data": {"version": version}})
            client.xadd(keys.snapshots("m"), {"e": data})
        assert "3 entries" in done("purge", "m", "2.0.0", "--reason", "raw values")
        assert not (tmp_path / "registry" / "m" / "2.0.0").exists()
        assert client.hkeys(keys.versions("m")) == [b"1.0.0"]
        assert client.hkeys(keys.references("m")) == [b"1.0.0#1"]
        assert client.xlen(keys.snapshots("m")) == 1
        last = json.loads(done("history", "m", "--json"))[-1]
        assert (last["action"], last["version"], last["reason"]) == ("purge", "2.0.0", "raw values")
        done(*registering, "--target-column", "kind")
        assert {one["version"] for one in json.loads(done("list", "--json"))} == {"1.0.0", "3.0.0"}
        again = refused(*registering, "--target-column", "kind", "--version", "2.0.0")
        assert "was purged" in str(again)
