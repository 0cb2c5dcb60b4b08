"""`driftgauge models challenge`: which of two versions is better on archived rows."""

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from driftgauge.consumer.commands.kept.opened import (
    TIME_HELP,
    opened_archive,
    policy_of,
    require_model,
    time_of,
)
from driftgauge.consumer.commands.tables import printable, show_table
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.wording.numbers import figure
from driftgauge.shared.wording.times import written_moment

if TYPE_CHECKING:
    from driftgauge.consumer.offline.archived.challenging import Challenge
    from driftgauge.shared.paired.difference import Difference
    from driftgauge.shared.paired.losses import LossName

EXIT_CODES = {"better": 0, "worse": 1, "undecided": 4}


@click.command()
@click.argument("model")
@click.argument("challenger")
@click.option("--against", help="The version that answered the rows; default: production's.")
@click.option("--since", metavar="TIME", help=f"First time: {TIME_HELP}.")
@click.option("--until", metavar="TIME", help="Time before which they end.")
@click.option(
    "--trained-until",
    metavar="TIME",
    help="Time before which the rows of the challenger's training lie; these are left out.  "
    "[default: when it was trained, by its manifest]",
)
@click.option(
    "--by",
    type=click.Choice(["value", "error", "brier"]),
    help="What they are compared by.  [default: the value if the policy states it, else the error]",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.05,
    show_default=True,
    help="Probability with which the interval may ever be wrong.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def challenge(
    model: str,
    challenger: str,
    against: str | None,
    since: str | None,
    until: str | None,
    trained_until: str | None,
    by: "LossName | None",
    alpha: float,
    *,
    as_json: bool,
) -> None:
    """Tell whether the version CHALLENGER of MODEL is better than the one in production, by what it
    predicts of the archived rows with labels.

    As labels come it may be run again as often as you like, with the same --since: that is in the
    interval. Exit code 0: better; 1: worse; 4: not decided yet.
    """
    from driftgauge.consumer.offline.archived import challenging
    from driftgauge.consumer.offline.archived.challenger import Challenger
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(located_settings())
    champion = registry.load(model, against or registry.production(model))
    other = registry.load(model, challenger)
    if champion.manifest.version == challenger:
        raise BadData(f"{model} {challenger} is the version that answered: name another one.")
    store = opened_archive()
    require_model(store, model)
    asked = challenging.Asked(
        time_of(since, "--since"),
        time_of(until, "--until"),
        time_of(trained_until, "--trained-until"),
        by,
        policy_of(model).value,
        alpha,
    )
    called = Challenger(registry, champion, other)
    found = challenging.challenge(store, called, (champion, other), asked)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _show(found)
    sys.exit(EXIT_CODES[found.first.found.verdict])


def _show(found: "Challenge") -> None:
    """Print the verdict, and a table of the losses and one of the segments."""
    click.echo(printable(found.said))
    losses = (found.first, *found.others)
    heads = (found.champion, found.challenger, "better by", f"{100 * (1 - found.alpha):.4g} %")
    show_table(
        ("", *heads, "labels"),
        [
            (", ".join(filter(None, (one.loss.title, one.loss.unit))), *_cells(one.found))
            for one in losses
        ],
    )
    if found.segments:
        show_table(
            ("segment", *heads, "labels", ""),
            [
                (f"{one.feature}={one.value}", *_cells(one.found), one.found.verdict)
                for one in found.segments
            ],
        )
        click.echo("Intervals of segments are wider, so that all of them hold at once.")
    click.echo(f"{written_moment(found.start)} to {written_moment(found.end)}.")
    for note in found.notes:
        click.echo(note)


def _cells(found: "Difference") -> tuple[str, ...]:
    first, second, gain, low, high = (
        "-" if number is None else figure(number)
        for number in (found.first, found.second, found.gain, found.low, found.high)
    )
    return first, second, gain, f"{low} to {high}", f"{found.labels:,}"
