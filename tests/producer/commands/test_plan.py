"""`driftgauge plan`: what it prints, and what it refuses."""

import json

import pytest
from click.testing import CliRunner

from driftgauge.producer.commands.plan import plan


def test_it_prints_what_a_load_needs() -> None:
    """The table has the processes, and the lines below what to set."""
    done = CliRunner().invoke(plan, ["--events-per-second", "100000", "--labels", ".5"])
    assert done.exit_code == 0, done.output
    for word in ("API", "worker", "Redis", "partitions of each model", "DRIFTGAUGE_LABEL_PENDING"):
        assert word in done.output


def test_more_columns_cost_more() -> None:
    """The measured costs that come with the package grow with the columns."""

    def cores(*options: str) -> dict[str, float]:
        done = CliRunner().invoke(plan, ["--events-per-second", "50000", "--json", *options])
        assert done.exit_code == 0, done.output
        found = json.loads(done.output)
        return {part: found[part]["cores"] for part in ("api", "workers", "redis")}

    few, many = cores("--features", "18"), cores("--features", "180")
    assert all(many[part] > few[part] > 0 for part in few)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--features", "3", "--categorical", "4"), "--categorical 4 is more than --features 3"),
        (("--segments", "1"), "--segments 1 is more than --categorical 0"),
        (("--labels", "2"), "0<=x<=1"),
    ],
)
def test_what_cannot_be_is_refused(options: tuple[str, ...], said: str) -> None:
    """An impossible load is answered by what is wrong with it."""
    done = CliRunner().invoke(plan, ["--events-per-second", "1", *options])
    assert done.exit_code == 2
    assert said in done.output
