"""`driftgauge reference accept` with `--as-version`: archived rows become the reference of a new
version, with cells of their own.
"""

from typing import TYPE_CHECKING

import click
import msgspec

from driftgauge.consumer.commands.kept.opened import opened_archive, require_model, time_of
from driftgauge.consumer.commands.registering import tell_registered
from driftgauge.consumer.commands.waiting import waiting
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.wording.times import written_moment

if TYPE_CHECKING:
    from driftgauge.shared.registry.registry import ModelRegistry
    from driftgauge.shared.versions.manifest import PublishedVersion


def renew_version(
    registry: "ModelRegistry",
    source: "PublishedVersion",
    version: str,
    times: tuple[str, str | None],
    why: tuple[str, str],
    *,
    promote: bool,
    as_json: bool,
) -> None:
    """Register a new version, and tell of it.

    Parameters
    ----------
    source
        The version whose model and archived predictions it has.
    version
        Its number.
    times
        What --since and --until say.
    why
        Who asks for it, and the reason.
    promote
        Whether it goes through its gates into production.
    """
    from driftgauge.consumer.offline.archived.renewing import Renewal, renew
    from driftgauge.shared.registry import promotion

    store, model = opened_archive(), source.manifest.model
    require_model(store, model)
    since, until = time_of(times[0], "--since"), time_of(times[1], "--until")
    least = located_settings().min_reference_rows
    asked = Renewal(version, since, until, least, *why)
    with waiting("reading the archive and making the profile") as at:
        folder, published = renew(registry, store, source, asked, at)
    if not as_json:
        tell_registered(folder, published)
        _tell_origin(source, published)
    if promote:
        promotion.promote(registry, model, version, actor=why[0], reason=why[1])
    if as_json:
        manifest, performance = published.manifest, published.performance
        told = {
            "model": model,
            "version": version,
            "folder": folder,
            "rows": published.reference.rows,
            "labelled": performance.rows if performance is not None else 0,
            "origin": manifest.origin,
            "stage": registry.stage(model, version),
        }
        click.echo(msgspec.json.encode(told))
        return
    if promote:
        click.echo(f"{model} {version} is in production.")
    else:
        click.echo(f"To put it into production: driftgauge models promote {model} {version}")


def _tell_origin(source: "PublishedVersion", published: "PublishedVersion") -> None:
    """Say which rows the reference is made of, and what they could not tell."""
    from driftgauge.consumer.commands.calibrate import show

    manifest, origin = published.manifest, published.manifest.origin
    assert origin is not None  # noqa: S101  it was made so
    part = "" if origin.read == origin.rows else f" {origin.read:,} of them, chosen by their ids."
    click.echo(
        f"Model, schema and gates are those of {origin.version}; the reference is {origin.rows:,} "
        f"of its archived predictions, {written_moment(origin.start)} to "
        f"{written_moment(origin.end)}.{part}"
    )
    labelled = published.performance.rows if published.performance is not None else 0
    if labelled or manifest.labels or source.performance is not None:
        baseline = (
            f"the metrics that {origin.version} states"
            if manifest.metrics
            else "theirs"
            if labelled
            else "nothing"
        )
        click.echo(f"{labelled:,} of them have labels: performance is compared with {baseline}.")
    if published.calibration is not None:
        show(published.calibration)
    else:
        click.echo(
            f"{origin.version} has no calibration, so the rows are taken as exchangeable, as "
            f"before."
        )
