"""`driftgauge backtest`: the alerts and incidents that another policy would have raised on past
data, beside those of today's policy.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from driftgauge.consumer.commands.calibrate import read_by
from driftgauge.consumer.commands.connection import connected
from driftgauge.consumer.commands.tables import show_table
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.durations import minutes_of
from driftgauge.shared.errors import BadData, ConfigurationError, ModelNotFound
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.settings import Settings
from driftgauge.shared.tables.options import file_options
from driftgauge.shared.wording.times import moment

if TYPE_CHECKING:
    from driftgauge.consumer.judging.backtest import AlertTotals, Backtest, PastIncident, Verdict
    from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
    from driftgauge.consumer.judging.policy import JudgingPolicy
    from driftgauge.consumer.judging.stated import PolicyChange
    from driftgauge.consumer.offline.backtesting import FileRows
    from driftgauge.shared.contract.pane import PaneEntry
    from driftgauge.shared.versions.manifest import PublishedVersion

_Entry = TypeVar("_Entry")
RECORDED, TODAY, OTHER = "recorded", "today", "policy"
SHOWN = 20
"""Most incidents of a policy that are printed; --json has all."""


@click.command()
@click.argument("model")
@click.option(
    "--since",
    default="30d",
    show_default=True,
    metavar="TIME",
    help="How far back, such as 12h or 30d; of an archive also a time such as 2025-11-20.",
)
@click.option(
    "--from-archive",
    is_flag=True,
    help="Count and judge the archived predictions, with their labels, not the stored panes.",
)
@click.option("--until", metavar="TIME", help="Of the archive: the time before which rows end.")
@click.option(
    "--reference",
    "number",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Of the archive: hold all rows against this reference; 0 is the registered one.",
)
@click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path),
    help="Policy file to try beside today's.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Judge this file's rows, not the stored panes.",
)
@click.option("--time-column", help="Of the file: when each row was predicted.")
@click.option("--prediction-column", help="Of the file; without it the model predicts.")
@click.option(
    "--per-day",
    type=click.FloatRange(min=0, min_open=True),
    help="Rows a day of a file without times.  [default: DRIFTGAUGE_EXPECTED_EVENTS_PER_DAY]",
)
@file_options
@click.option("--version", help="Of the model, for a file; default: the one in production.")
@click.option("--json", "as_json", is_flag=True, help="Print both verdicts as JSON.")
def backtest(
    model: str,
    since: str,
    until: str | None,
    number: int | None,
    policy_path: Path | None,
    data: Path | None,
    time_column: str | None,
    prediction_column: str | None,
    per_day: float | None,
    version: str | None,
    *,
    from_archive: bool,
    as_json: bool,
    **said: Any,
) -> None:
    """Judge the stored panes again, under today's policy and another one."""
    if data is None and (
        time_column or prediction_column or per_day or version or any(said.values())
    ):
        raise click.UsageError("Columns, pace, version and format of a file belong to --data.")
    if not from_archive and (until is not None or number is not None):
        raise click.UsageError("--until and --reference belong to --from-archive.")
    if from_archive and data is not None:
        raise click.UsageError("Give --data or --from-archive, not both.")
    settings = located_settings()
    from driftgauge.consumer.policies.file import read_file
    from driftgauge.consumer.running.settled import judging_policy

    judged = judging_policy(settings, 1)
    path = settings.policy_file
    tried = [judged if path is None else read_file(path).file.apply(judged, model)]
    if policy_path is not None:
        try:
            tried.append(read_file(policy_path).file.apply(judged, model))
        except ConfigurationError as error:
            raise BadData(str(error)) from error
    if from_archive:
        found = _of_archive(settings, model, (since, until), number, tried)
    elif data is None:
        found = _of_panes(model, round(minutes_of(since) * 60_000), judged, tried)
    else:
        from driftgauge.consumer.offline.backtesting import FileRows

        key = settings.pii_key.get_secret_value() if settings.pii_key is not None else None
        rows = FileRows(data, time_column, prediction_column, key)
        pace = per_day or settings.expected_events_per_day
        found = _of_file(settings, model, version, rows, tried, pace, said)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _show(found)


def _of_panes(
    model: str, since_ms: int, judged: "JudgingPolicy", tried: "list[JudgingPolicy]"
) -> "Backtest":
    """Judge what is stored in Redis: by the policy that judging has taken up last, in place of the
    own file's, and by those that were in force if they changed.
    """
    from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
    from driftgauge.consumer.offline.stored_panes import History
    from driftgauge.consumer.stages.versions import PublishedVersions
    from driftgauge.shared.reference.history import reference_key

    settings, nodes = connected()
    keys = Keys(settings.key_prefix)
    published = PublishedVersions(nodes.shared(keys.versions(model)), keys, model)
    found = published.all()
    if not found:
        raise ModelNotFound(f"No model {model!r} was published to this Redis.")
    history = History(settings.redis_url, keys, next(iter(found.values())).manifest)
    judge = history.judge()
    versions = {name: JudgedVersion.of(one) for name, one in found.items()}
    changes = {
        (change.version, change.number)
        for known in judge.progress.references.values()
        for change in known.past
    }
    for version, number in changes:
        for name, one in published.references({(version, number)}).items():
            versions[name] = JudgedVersion.of(one, number)
    lost = sorted(
        reference_key(*pair) for pair in changes if pair[1] and reference_key(*pair) not in versions
    )
    if lost:
        raise BadData(
            f"The references {', '.join(lost)} are not in Redis; `driftgauge reference publish "
            f"{model}`."
        )
    start = judge.progress.now - since_ms
    if judge.policies:
        tried = [judge.policies[-1].said.apply(judged), *tried[1:]]
    changed = any(change.time > start for change in judge.policies[1:])
    entries = _shown(history.with_policies(start, judge), history.expected(), lambda _: 1)
    result = _judge(entries, model, versions, tried, judged if changed else None)
    result.resolution = {str(name): count for name, count in history.used.items()}
    return result


def _of_archive(
    settings: Settings,
    model: str,
    times: tuple[str, str | None],
    number: int | None,
    tried: "list[JudgingPolicy]",
) -> "Backtest":
    """Count what is archived, and judge it."""
    from driftgauge.consumer.commands.kept.opened import opened_archive, require_model, time_of
    from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
    from driftgauge.consumer.offline.archived.backtesting import held_against, known_versions
    from driftgauge.consumer.running.settled import counting_policy
    from driftgauge.shared.archive.scan import Range, files
    from driftgauge.shared.registry.opening import registry_of

    store = opened_archive()
    require_model(store, model)
    wanted = Range(model, time_of(times[0], "--since"), time_of(times[1], "--until"))
    told: list[str] = []
    known = known_versions(registry_of(settings), store, wanted, told.append)
    if number is not None:
        known = held_against(known, number)
    versions = {
        name: JudgedVersion.of(one, int(name.partition("#")[2] or 0))
        for name, one in known.versions.items()
    }
    rows = sum(file.rows for _, file in files(store, "predictions", wanted, told.append))
    with _bar(rows) as advance:
        past = known.past(counting_policy(settings, 0, 1), store, wanted, told.append, advance)
        found = _judge(past.panes(), model, versions, tried)
    for said in dict.fromkeys(told):
        click.echo(said, err=True)
    return found


def _of_file(
    settings: Settings,
    model: str,
    version: str | None,
    rows: "FileRows",
    tried: "list[JudgingPolicy]",
    per_day: float,
    said: Mapping[str, Any],
) -> "Backtest":
    """Count a file's rows, and judge them."""
    from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
    from driftgauge.consumer.offline.backtesting import counted, log_of
    from driftgauge.consumer.running.settled import counting_policy
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(settings)
    published = read_by(registry.load(model, version or registry.production(model)), said)
    log = log_of(published, rows, per_day, _estimator(registry, published, rows))
    for remark in log.remarks:
        click.echo(remark, err=True)
    name = published.manifest.version
    versions = {name: JudgedVersion.of(published)}
    entries = counted(published, log, counting_policy(settings, 0, 1))
    return _judge(
        _shown(entries, len(log.entries), lambda entry: getattr(entry, "events", 0)),
        model,
        versions,
        tried,
    )


def _estimator(registry: Any, published: "PublishedVersion", rows: "FileRows") -> Any:
    """Load the fitted model if the rows need it."""
    manifest = published.manifest
    if rows.prediction is not None or not manifest.artifact or published.schema.prediction is None:
        return None
    return registry.load_artifact(manifest.model, manifest.version)


def _judge(
    entries: "Iterable[PaneEntry | PolicyChange]",
    model: str,
    versions: "dict[str, JudgedVersion]",
    tried: "list[JudgingPolicy]",
    settings: "JudgingPolicy | None" = None,
) -> "Backtest":
    """Judge entries by every policy, and with `settings` by those that were in force."""
    from driftgauge.consumer.judging.backtest import AlertTracker, Backtest, rejudge
    from driftgauge.shared.contract.pane import Pane

    recorded = AlertTracker()
    trackers = [*(AlertTracker() for _ in tried), *([recorded] if settings is not None else [])]
    start, end, panes = 0, 0, 0
    for entry, moved in rejudge(
        entries, model, versions, [replace(one, partitions=1) for one in tried], settings
    ):
        if isinstance(entry, Pane):
            start, end, panes = start or entry.start, max(end, entry.end), panes + 1
        for tracker, transitions in zip(trackers, moved, strict=True):
            tracker.take(transitions)
    if not panes:
        raise BadData(f"There is no pane of {model} in that time.")
    verdicts = [tracker.verdict(end) for tracker in trackers[: len(tried)]]
    return Backtest(
        model,
        start,
        end,
        {"pane": panes},
        verdicts[0],
        verdicts[1] if len(verdicts) > 1 else None,
        recorded.verdict(end) if settings is not None else None,
    )


def _shown(
    entries: "Iterable[_Entry]", total: int, weigh: "Callable[[_Entry], int]"
) -> "Iterator[_Entry]":
    """Pass entries through a progress bar; each counts for its weight."""
    with _bar(total) as advance:
        for entry in entries:
            yield entry
            advance(weigh(entry))


@contextmanager
def _bar(total: int) -> "Iterator[Callable[[int], None]]":
    """Show a progress bar; what is yielded moves it on."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("judging", total=total)
        yield lambda steps: bar.advance(task, steps)


def _show(found: "Backtest") -> None:
    """Print the verdicts side by side."""
    used = ", ".join(
        f"{count:,} {name}{'s' if count != 1 else ''}" for name, count in found.resolution.items()
    )
    click.echo(f"{found.model}: {moment(found.start)} to {moment(found.end)}, judged by {used}.")
    named = {RECORDED: found.recorded, TODAY: found.today, OTHER: found.policy}
    verdicts = {name: verdict for name, verdict in named.items() if verdict is not None}
    heads = [
        f"{name}: {what}"
        for name in verdicts
        for what in ("alerts", "notices", "severity", "in alarm")
    ]
    names = sorted(
        {(told.version, told.feature) for verdict in verdicts.values() for told in verdict.features}
    )
    rows = [
        [version, feature or "(model)", *_cells(verdicts, (version, feature))]
        for version, feature in names
    ]
    totals = [cell for verdict in verdicts.values() for cell in _told(verdict.total)]
    show_table(("version", "feature", *heads), [*rows, ["", "all", *totals]])
    for name, verdict in verdicts.items():
        _show_incidents(name, verdict.incidents)


def _show_incidents(policy: str, incidents: "Sequence[PastIncident]") -> None:
    """Print what people would have been told, the latest incidents."""
    messages = sum(one.notified for one in incidents)
    click.echo(f"{policy}: {len(incidents)} incidents, {messages} messages.")
    rows = [
        [
            moment(one.opened),
            "open" if one.ended is None else moment(one.ended),
            one.severity,
            one.notified,
            one.headline,
        ]
        for one in incidents[-SHOWN:]
    ]
    if rows:
        show_table(("opened", "ended", "severity", "messages", "headline"), rows)


def _cells(verdicts: "dict[str, Verdict]", name: tuple[str, str]) -> list[object]:
    cells: list[object] = []
    for verdict in verdicts.values():
        told = next((one for one in verdict.features if (one.version, one.feature) == name), None)
        cells += _told(told)
    return cells


def _told(told: "AlertTotals | None") -> list[object]:
    if told is None or not told.alerts:
        return [0, 0, "", ""]
    return [
        told.alerts,
        told.notified,
        told.severity or "",
        str(timedelta(seconds=round(told.alarm_ms / 1000))),
    ]
