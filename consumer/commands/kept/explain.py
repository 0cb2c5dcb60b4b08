"""`driftgauge models explain`: which features brought how much of a change of the predictions."""

from typing import TYPE_CHECKING

import click
import msgspec

from driftgauge.consumer.commands.kept.opened import (
    TIME_HELP,
    opened_archive,
    require_model,
    time_of,
)
from driftgauge.consumer.commands.tables import printable, show_table
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.wording.numbers import figure, signed
from driftgauge.shared.wording.times import written_moment

if TYPE_CHECKING:
    from driftgauge.consumer.offline.archived.explaining import Why


@click.command()
@click.argument("model")
@click.option("--since", metavar="TIME", required=True, help=f"When it changed: {TIME_HELP}.")
@click.option("--until", metavar="TIME", help="Time before which the changed rows end.")
@click.option("--first", metavar="TIME", help="First time of the rows they are held against.")
@click.option("--version", help="The version that answered the rows; default: production's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(
    model: str,
    since: str,
    until: str | None,
    first: str | None,
    version: str | None,
    *,
    as_json: bool,
) -> None:
    """Tell which features brought how much of the change of MODEL's mean prediction: of the
    archived rows from --since on, held against the rows before.
    """
    from driftgauge.consumer.offline.archived import explaining
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(located_settings())
    published = registry.load(model, version or registry.production(model))
    store = opened_archive()
    require_model(store, model)
    begun = time_of(since, "--since")
    assert begun is not None  # noqa: S101  the option is required
    asked = explaining.Asked(begun, time_of(until, "--until"), time_of(first, "--first"))
    fitted = registry.load_artifact(model, published.manifest.version)
    found = explaining.why(store, published, fitted, asked)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _show(found)


def _show(found: "Why") -> None:
    """Print the sentence, and what each feature contributed."""
    click.echo(printable(found.said))
    show_table(
        ("contributed on average", "before", "since", "change", "95 %"),
        [
            (
                one.feature,
                figure(one.before),
                figure(one.since),
                signed(one.found.change),
                f"{signed(one.found.low)} to {signed(one.found.high)}",
            )
            for one in found.features
        ],
    )
    for when, side in (("before", found.before), ("since", found.since)):
        click.echo(
            f"{when}: {written_moment(side.start)} to {written_moment(side.end)}, "
            f"mean {figure(side.mean)}."
        )
    for note in found.notes:
        click.echo(note)
