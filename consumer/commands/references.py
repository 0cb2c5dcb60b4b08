"""`driftgauge reference`: accept current production data as the reference, undo that, show the
history.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from driftgauge.consumer.commands.actor import actor_option
from driftgauge.consumer.commands.connection import connected
from driftgauge.consumer.commands.tables import show_table
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.durations import minutes_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.settings import Settings
from driftgauge.shared.wording.times import moment, written_moment

if TYPE_CHECKING:
    from driftgauge.shared.reference.accepted import AcceptedReference
    from driftgauge.shared.registry.reference_store import ReferenceStore
    from driftgauge.shared.registry.registry import ModelRegistry
    from driftgauge.shared.versions.manifest import PublishedVersion

MOST_WORDS = 500

version_option = click.option("--version", help="Of the model; default: the one in production.")
reason_option = click.option(
    "--reason", required=True, help="Why; stands in the history and in the alerts that end."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def reference() -> None:
    """Change the reference that a model version is compared with, from one point in its log on."""


@reference.command()
@click.argument("model")
@click.option(
    "--window",
    default="14d",
    show_default=True,
    metavar="TIME",
    help="Latest rows to take, such as 36h or 14d.",
)
@click.option(
    "--from-archive",
    is_flag=True,
    help="Take archived rows of any time, from --since to --until, not the latest ones.",
)
@click.option("--since", metavar="TIME", help="Of the archive: the first time.")
@click.option("--until", metavar="TIME", help="Of the archive: the time before which rows end.")
@click.option(
    "--as-version",
    metavar="VERSION",
    help="Give the archived rows new cells (bin edges, categories), which a version never changes: "
    "register them as the reference of this new version, with the same model, schema and gates.",
)
@click.option(
    "--promote",
    is_flag=True,
    help="With --as-version: run the gates, and put the new version into production.",
)
@version_option
@reason_option
@actor_option
@json_option
def accept(
    model: str,
    window: str,
    since: str | None,
    until: str | None,
    as_version: str | None,
    version: str | None,
    reason: str,
    actor: str,
    *,
    from_archive: bool,
    promote: bool,
    as_json: bool,
) -> None:
    """Make a new reference of what was counted in production.

    It has the cells of the version's registered reference. Where rows have left these behind, so
    that most are in the outermost ones, --as-version makes cells anew.
    """
    from driftgauge.consumer.commands.kept.renewing import renew_version
    from driftgauge.shared.registry.reference_publishing import publish

    if from_archive != (since is not None) or (until is not None and not from_archive):
        raise click.UsageError("--from-archive needs --since; --since and --until belong to it.")
    if as_version is not None and since is None:
        raise click.UsageError("--as-version takes archived rows: add --from-archive --since TIME.")
    if promote and as_version is None:
        raise click.UsageError("--promote belongs to --as-version: other references hold at once.")
    if as_version is not None and since is not None:
        found = _version(located_settings(), model, version)
        why = _words(actor, "--actor"), _words(reason, "--reason")
        renew_version(*found, as_version, (since, until), why, promote=promote, as_json=as_json)
        return
    settings, nodes = connected()
    nodes.close()
    registry, published = _version(settings, model, version)
    if since is not None:
        made = _of_archive(settings, published, since, until)
    else:
        made = _proposed(settings, published, round(minutes_of(window) * 60_000))
    store = _store(registry, published)
    history = store.accept(made, who=_words(actor, "--actor"), reason=_words(reason, "--reason"))
    publish(settings.redis_url, _keys(settings), published.manifest, store)
    if as_json:
        counted = {"rows": made.profile.rows, "start": _iso(made.start), "end": _iso(made.end)}
        _tell(published, history.number, counted | {"panes": made.resolution})
        return
    parts = ", ".join(
        f"{count} {name}{'s' if count != 1 else ''}" for name, count in made.resolution.items()
    )
    click.echo(
        f"{model} {made.version} is held against reference {history.number} from here on: "
        f"{made.profile.rows:,} rows of "
        f"{moment(made.start)} to {moment(made.end)} ({parts}). Alerts of the one before resolve; "
        f"`driftgauge reference undo {model} --reason WHY` goes back to it."
    )
    if made.calibration is not None and made.calibration.realised is None and _ordered(made):
        click.echo(
            "The thresholds of its ordered features are those of before: 8 weeks of days would set "
            "new ones."
        )


@reference.command()
@click.argument("model")
@version_option
@reason_option
@actor_option
@json_option
def undo(model: str, version: str | None, reason: str, actor: str, *, as_json: bool) -> None:
    """Go back to the reference before the one in use."""
    from driftgauge.shared.registry.reference_publishing import publish

    settings, nodes = connected()
    nodes.close()
    registry, published = _version(settings, model, version)
    store = _store(registry, published)
    history = store.undo(who=_words(actor, "--actor"), reason=_words(reason, "--reason"))
    publish(settings.redis_url, _keys(settings), published.manifest, store)
    if as_json:
        _tell(published, history.number)
        return
    what = (
        f"reference {history.number}"
        if history.number
        else "the reference that it was registered with"
    )
    click.echo(f"{model} {published.manifest.version} is held against {what} again.")


@reference.command(name="list")
@click.argument("model")
@version_option
@json_option
def list_(model: str, version: str | None, *, as_json: bool) -> None:
    """Show every change of a version's reference, oldest first."""
    registry, published = _version(located_settings(), model, version)
    store = _store(registry, published)
    history = store.history()
    if as_json:
        click.echo(msgspec.json.encode(history))
        return
    if not history.changes:
        click.echo(
            f"{model} {published.manifest.version} is held against the reference that it was "
            f"registered with."
        )
        return
    rows: list[tuple[object, ...]] = []
    for change in history.changes:
        made = store.load(change.number) if change.number else None
        profile = made.profile if made else published.reference
        counted = f"{moment(made.start)} to {moment(made.end)}" if made else "training"
        verb = "undo" if change.undo else "accept"
        rows.append(
            (
                written_moment(change.created),
                verb,
                change.number,
                f"{profile.rows:,}",
                counted,
                change.who,
                change.reason,
            )
        )
    show_table(
        ("when", "change", "reference", "rows", "counted", "who", "why"),
        rows,
        f"{model} {published.manifest.version}",
    )


@reference.command(name="publish")
@click.argument("model")
@version_option
@json_option
def publish_(model: str, version: str | None, *, as_json: bool) -> None:
    """Publish the last change again, after Redis lost it or `accept` was interrupted; else it
    changes nothing.
    """
    from driftgauge.shared.registry.reference_publishing import publish

    settings, nodes = connected()
    nodes.close()
    registry, published = _version(settings, model, version)
    change = publish(
        settings.redis_url, _keys(settings), published.manifest, _store(registry, published)
    )
    number = change.number if change is not None else 0
    if as_json:
        _tell(published, number)
        return
    click.echo(f"{model} {published.manifest.version}: reference {number} is published.")


def _proposed(
    settings: Settings, published: "PublishedVersion", window_ms: int
) -> "AcceptedReference":
    """Sum up the window, with a progress bar for the calibration."""
    from rich.console import Console
    from rich.progress import Progress

    from driftgauge.consumer.judging.ordered.order import STEPS
    from driftgauge.consumer.offline.referencing import propose

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("making the reference", total=STEPS + 1)
        return propose(settings, published, window_ms, lambda: bar.advance(task))


def _of_archive(
    settings: Settings, published: "PublishedVersion", since: str, until: str | None
) -> "AcceptedReference":
    """Sum up archived rows; what cannot be read of them refuses it."""
    from driftgauge.consumer.commands.kept.opened import opened_archive, require_model, time_of
    from driftgauge.consumer.offline.archived.accepting import propose_archived
    from driftgauge.shared.archive.scan import Range

    store, told = opened_archive(), list[str]()
    model = published.manifest.model
    require_model(store, model)
    wanted = Range(model, time_of(since, "--since"), time_of(until, "--until"))
    made = propose_archived(store, published, wanted, settings.min_reference_rows, told.append)
    if told:
        raise BadData(f"A reference needs all rows. {told[0]}")
    return made


def _version(
    settings: Settings, model: str, version: str | None
) -> "tuple[ModelRegistry, PublishedVersion]":
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(settings)
    return registry, registry.load(model, version or registry.production(model))


def _store(registry: "ModelRegistry", published: "PublishedVersion") -> "ReferenceStore":
    from driftgauge.shared.registry.reference_store import ReferenceStore

    return ReferenceStore(registry, published.manifest.model, published.manifest.version)


def _keys(settings: Settings) -> Keys:
    return Keys(settings.key_prefix)


def _words(text: str, option: str) -> str:
    if not text.strip() or len(text) > MOST_WORDS:
        raise BadData(f"{option} needs between 1 and {MOST_WORDS} characters.")
    return text


def _ordered(made: "AcceptedReference") -> bool:
    return made.calibration is not None and any(
        feature.order == "ordered" for feature in made.calibration.features
    )


def _tell(
    published: "PublishedVersion", number: int, more: Mapping[str, object] | None = None
) -> None:
    """Print the reference that a version is held against from here on; 0 is the registered one."""
    manifest = published.manifest
    told = {"model": manifest.model, "version": manifest.version, "reference": number}
    click.echo(msgspec.json.encode(told | dict(more or {})))


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
