"""The published benchmarks: how each is run in an evening, and its figures in words."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True)
class Figure:
    """A sentence about what was measured, and its yardstick from the same run.

    Parameters
    ----------
    said
        The figure in words.
    yardstick
        What it is held against; empty if the sentence says it.
    """

    said: str
    yardstick: str = ""


@dataclass(frozen=True)
class Published:
    """A benchmark whose figures are published.

    Parameters
    ----------
    module
        What `python -m` runs.
    result
        Name of its result file, without `.json`.
    figures
        From the rows of the result to sentences.
    arguments
        Of the command.
    is_headline
        Whether the README shows its first figure.
    """

    module: str
    result: str
    figures: Callable[[Rows], Iterator[Figure]]
    arguments: tuple[str, ...] = ()
    is_headline: bool = False


def _one(rows: Rows, **wanted: Any) -> Row:
    """Return the row whose values begin as wanted."""
    return next(
        row for row in rows if all(str(row[name]).startswith(v) for name, v in wanted.items())
    )


def _counting(rows: Rows) -> Iterator[Figure]:
    bare = [row for row in rows if row["loop"].startswith("bare")]
    own = [row for row in rows if row["loop"].startswith("the worker")]
    for loop, ours in zip(bare, own, strict=True):
        yield Figure(
            f"{ours['events/CPU s']:,} events a CPU second of counting: {ours['features']}",
            f"{loop['events/CPU s']:,} of a loop that reads and decodes: {ours['ratio']} of it",
        )
    for other in rows:
        if other["loop"].startswith("whylogs"):
            yield Figure(
                f"the first is {own[0]['events/CPU s'] / other['events/CPU s']:.1f} times as fast "
                "as whylogs, which reads no stream and compares nothing",
                f"{other['events/CPU s']:,} rows a CPU second, from memory",
            )


def _judging(rows: Rows) -> Iterator[Figure]:
    for labels in dict.fromkeys(row["labels"] for row in rows):
        bare, replay, backtest = (
            _one(rows, labels=labels, loop=loop)["panes/CPU s"]
            for loop in ("bare", "replay", "backtest")
        )
        yield Figure(
            f"{replay:,} panes of an hour a CPU second replayed with a report of each, "
            f"{backtest:,} in a backtest (labels: {labels})",
            f"{bare:,} for the loop that decodes them",
        )


def _serving(rows: Rows) -> Iterator[Figure]:
    ours, naive, nothing = (
        _one(rows, endpoint=endpoint) for endpoint in ("/predict", "/naive", "/nothing")
    )
    yield Figure(
        f"{ours['requests_per_s']:,} `/predict` a second at 64 connections, p99 "
        f"{ours['p99_ms']} ms",
        f"{naive['requests_per_s']:,} for one model call and one XADD a request "
        f"({ours['times_naive']:g} times); {nothing['requests_per_s']:,} for an endpoint that does "
        f"nothing ({ours['requests_per_s'] / nothing['requests_per_s']:.2f} of it)",
    )


def _intake(rows: Rows) -> Iterator[Figure]:
    bare = _one(rows, form="bare")["events/CPU s"]
    for row in rows[1:]:
        yield Figure(
            f"{row['events/CPU s']:,} events a second of a core of the API, posted as "
            f"{row['form']}",
            f"{bare:,} for a loop that decodes, encodes and sends: {row['of bare']:g} of it",
        )


def _alarm(rows: Rows) -> Iterator[Figure]:
    whole, *_, first = rows
    yield Figure(
        f"from the POST of the event that proves a broken feed to the incident at a follower: "
        f"median {whole['p50 ms']:g} ms, p99 {whole['p99 ms']:g} ms of {whole['incidents']}",
        f"goal {whole['goal p99 ms']:g} ms; from the first broken POST at 100 events a second "
        f"{first['p50 ms']:g} ms",
    )


def _features(rows: Rows) -> Iterator[Figure]:
    for row in rows[1:]:
        yield Figure(
            f"{row['features']:,} features: a value costs the worker "
            f"{row['worker ns a value']:,} ns of a core, the API {row['API ns a value']:,}",
            f"{row['worker of 18']:g} and {row['API of 18']:g} of what it costs with 18 features",
        )


def _memory(rows: Rows) -> Iterator[Figure]:
    first, last = rows[0], rows[-1]
    yield Figure(
        f"{last['events']:,} events: the worker has {last['worker MB']:g} MB, the API "
        f"{last['API MB']:g}",
        f"{last['worker of first']:g} and {last['API of first']:g} of those after "
        f"{first['events']:,}",
    )


def _tracing(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(
            f"tracing of {row['of']}, {row['way']}: {row['of without']:.3f} of the CPU time "
            f"without its hooks (quartiles {row['quartiles']})",
            "less than 1.02 when off" if row["way"] == "off" else "",
        )


def _outage(rows: Rows) -> Iterator[Figure]:
    before, away, back = (
        _one(rows, phase=phase) for phase in ("before", "Redis away", "back again")
    )
    yield Figure(
        f"{away['per_s']:,} `/predict` a second while Redis is away, p99 of the first second "
        f"{away['first_s_p99_ms']:g} ms; {back['per_s']:,} while the spool is sent",
        f"{before['per_s']:,} before, p99 {before['p99_ms']:g} ms",
    )


def _commits(rows: Rows) -> Iterator[Figure]:
    ping, same, changed = rows
    yield Figure(
        f"{same['median ms']:g} ms for a {same['step']}, {changed['median ms']:g} for a "
        f"{changed['step']}",
        f"{ping['median ms']:g} ms for a PING",
    )


def _report(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(
            f"a page of {row['features']} features by {row['tool']}: {row['ms']:g} ms, "
            f"{row['kB']:,.0f} kB",
            row["bound"],
        )


def _durability(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        replica = ", a replica" if row["replicas"] else ""
        yield Figure(
            f"{row['events_per_s']:,} events/s published, appendfsync {row['appendfsync']}, mode "
            f"{row['publish_mode']}{replica}, {row['callers']} at once; p99 of the wait "
            f"{row['wait_p99_ms']:g} ms",
        )


def _client(rows: Rows) -> Iterator[Figure]:
    queue = _one(rows, call="queue.put")
    for row in rows:
        if row["call"].startswith("Monitor"):
            yield Figure(
                f"`{row['call']}`: median {row['median µs']:g} µs, p99 {row['p99 µs']:g} µs",
                f"`queue.put` {queue['median µs']:g} and {queue['p99 µs']:g} µs",
            )


def _many(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        if row["process"] != "Redis":
            yield Figure(
                f"1,000 models, {row['process']} at rest {row['when']}: {row['cores']:g} of a "
                f"core, {row['connections']} connections, {row['threads']} threads, "
                f"{row['MB']:,} MB",
                ".05 of a core, 64 connections",
            )
    first = rows[0]
    yield Figure(
        f"POST to commit of an event of any of 1,000 models at 10 a second: p99 "
        f"{first['p99 s']:g} s",
        "1 s",
    )
    yield Figure(
        f"`/metrics` of 1,000 models: {first['scrape s']:g} s, {first['scrape core s']:g} s of a "
        f"core",
        "10 s that Prometheus waits",
    )


def _log_page(rows: Rows) -> Iterator[Figure]:
    newest, past, named = (
        _one(rows, what=f"{way}, page", files="dropped")
        for way in ("the newest", "before a random moment", "by id")
    )
    alone = _one(rows, what="pyarrow")
    yield Figure(
        f"the Log page on {newest['rows']:,} archived rows, files not in memory: the newest in "
        f"{newest['median ms']:g} ms, of a random day in {past['median ms']:g}, by id in "
        f"{named['median ms']:g} (p95 {newest['p95 ms']:g}, {past['p95 ms']:g}, "
        f"{named['p95 ms']:g}; of a core {newest['CPU ms']:g}, {past['CPU ms']:g}, "
        f"{named['CPU ms']:g})",
        f"goal: {newest['goal ms']} ms; {alone['median ms']:g} ms for pyarrow that reads one row "
        f"group",
    )


def _capacity(rows: Rows) -> Iterator[Figure]:
    error = max(row["largest error of the fit"] for row in rows)
    yield Figure(f"costs of `driftgauge plan`: within {error:.0%} of what was measured of each mix")


def _chaos(rows: Rows) -> Iterator[Figure]:
    said = {row["what"]: row["number"] for row in rows}
    yield Figure(
        f"{said['faults']:,.0f} faults at random instants: "
        f"{said['events published (distinct in the log)']:,.0f} events in the logs, "
        f"{said['lost without a word']:,.0f} lost without a word, {said['doubled']:,.0f} doubled"
    )


def _archiving(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(
            f"{row['rows/CPU s']:,} predictions a CPU second from the log to Parquet "
            f"({row['features']}), {row['bytes a row']} bytes each",
            f"{row['pyarrow from JSON']:,} for pyarrow from their JSON to Parquet: "
            f"{row['ratio to JSON']} of it; {row['writer alone']:,} for its writer alone, from "
            "tables in memory",
        )


def _backtesting(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(
            f"a year of {row['rows']:,} archived rows is counted and judged again in "
            f"{row['CPU s']:.0f} CPU s ({row['features']}, {row['panes']:,} panes)",
            f"goal: a minute; {row['pyarrow reads alone, CPU s']} s for pyarrow that only reads it",
        )


def _archive_cost(rows: Rows) -> Iterator[Figure]:
    without, archived = rows
    yield Figure(
        f"counting that is archived takes {archived['of without']:g} ({archived['from']:g} to "
        f"{archived['to']:g}) of its CPU time, the median of 1,000 events each way by turns; in "
        f"all {archived['in all']:g}, with what neighbours cost",
        f"goal: at most 1.05; {without['counting µs']:g} µs an event of 18 numbers without an "
        "archive",
    )
    yield Figure(
        f"the whole worker, which judges and archives: {archived['worker µs']:g} µs an event",
        f"{without['worker µs']:g} without an archive: {archived['worker of without']:g} of it",
    )


def _archive_kills(rows: Rows) -> Iterator[Figure]:
    row = rows[0]
    yield Figure(
        f"{row['events']:,} events with labels, {row['kills']} workers killed by `kill -9`, a "
        f"second apart: {row['rows']:,} rows of {row['distinct ids']:,} ids in the archive, "
        f"{row['with last label']:,} with their last label; {row['cells that differ']} of "
        f"{row['cells']:,} cells of {row['panes']:,} panes differ from its rows"
    )


def _fuzzing(rows: Rows) -> Iterator[Figure]:
    yield Figure(
        f"{rows[0]['requests']:,} odd requests: no promise broken, longest turn of the event loop "
        f"{rows[0]['longest turn ms']:g} ms"
    )


def _listed(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(f"{row['data']}: {row['figure']}: {row['measured']}")


def _incidents(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(
            f"{row['traffic']}: {row['incidents']:,} false incidents, {row['of allowed']} of the "
            "budget",
            f"{row['allowed']:,} allowed",
        )


def _fairness(rows: Rows) -> Iterator[Figure]:
    allowed = [row for row in rows if row["allowed"] == "yes"]
    windows, told, plain = (
        sum(row[name] for row in allowed) for name in ("windows", "told", "by a plain limit")
    )
    yield Figure(
        f"{told} of {windows:,} windows told in which groups are treated alike, or as differently "
        "as the limit just allows",
        f"{plain:,} by a plain limit on the same value, which is fairlearn's",
    )
    ratio = {"measure": "selection_rate_ratio", "rows of each group": "1000 1000", "rate": "0.5"}
    found = [_one(rows, **ratio, truth=truth) for truth in ("0.6", "0.5")]
    shares = ", ".join(f"{row['told'] / row['windows']:.0%} at {row['truth']}" for row in found)
    yield Figure(
        f"two groups of 1,000 rows, the larger selection rate .5, limit .8: {shares} of one look"
    )


def _challenge(rows: Rows) -> Iterator[Figure]:
    equal = [row for row in rows if row["better"] == "no"]
    runs, ours, plain = (
        sum(row[name] for row in equal) for name in ("runs", "called better", "by a t-test")
    )
    worst = max(equal, key=lambda row: row["called better"])
    yield Figure(
        f"{ours} of {runs:,} challengers that are no better are called better, {worst['labels']:,} "
        f"looks each; at most {worst['called better']} of {worst['runs']:,} of a kind of losses",
        f"{plain:,} by a t-test at the same level",
    )
    found = _one(rows, better="yes")
    yield Figure(
        f"one that is right in two thirds of the tenth of rows on which they disagree is called "
        f"better after {found['median label']:,} labels (median)"
    )


def _seeds(rows: Rows) -> Iterator[Figure]:
    delays = [row["after injection"] for row in rows]
    found = sorted(delay for delay in delays if delay is not None and delay >= 0)
    early = sum(delay is not None and delay < 0 for delay in delays)
    middle = f"{statistics.median(found):,.0f}" if found else "no"
    yield Figure(
        f"{len(rows)} demos: {early} alert before the injection, {delays.count(None)} miss it; "
        f"first alert after {middle} predictions (median)"
    )


def _explaining(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(
            f"{row['explained ms']} ms for a prediction with its contributions: {row['model']}",
            f"{row['plain ms']} ms without; {row['plain meanwhile ms']} ms while others ask for "
            "contributions of the same model all the time",
        )


def _plain(rows: Rows) -> Iterator[Figure]:
    for row in rows:
        yield Figure(", ".join(f"{name}: {value}" for name, value in row.items()))


PUBLISHED: Final = (
    Published("benchmarks.counting", "counting", _counting, is_headline=True),
    Published("benchmarks.judging", "judging", _judging, is_headline=True),
    Published("benchmarks.serving", "serving", _serving, is_headline=True),
    Published("benchmarks.live.intake", "intake", _intake),
    Published("benchmarks.live.alarm", "alarm", _alarm),
    Published("benchmarks.live.explaining", "explaining", _explaining),
    Published("benchmarks.outage", "outage", _outage, is_headline=True),
    Published("benchmarks.report", "report", _report, is_headline=True),
    Published("benchmarks.client", "client", _client),
    Published("benchmarks.commits", "commits", _commits),
    Published("benchmarks.durability", "durability", _durability),
    Published("benchmarks.tracing", "tracing", _tracing),
    Published("benchmarks.scale.many", "many", _many),
    Published("benchmarks.scale.features", "features", _features),
    Published("benchmarks.scale.memory", "memory", _memory),
    Published("benchmarks.scale.log_page", "log_page", _log_page),
    Published("benchmarks.scale.capacity", "capacity", _capacity, ("--write",)),
    Published("benchmarks.fuzzing", "fuzzing", _fuzzing, ("--minutes", "10")),
    Published(
        "benchmarks.chaos", "chaos", _chaos, ("--seconds", "3000", "--gap", "1"), is_headline=True
    ),
    Published("benchmarks.scale.archiving", "archiving", _archiving),
    Published("benchmarks.scale.backtesting", "backtesting", _backtesting),
    Published("benchmarks.scale.archive_cost", "archive_cost", _archive_cost),
    Published("benchmarks.chaos.archive_kills", "archive_kills", _archive_kills),
    Published("benchmarks.detection.ordered", "ordered", _listed),
    Published("benchmarks.detection.notifications", "notifications", _listed),
    Published("benchmarks.detection.incidents", "incidents", _incidents),
    Published("benchmarks.detection", "detection_alone", _plain),
    Published("benchmarks.detection.fairness", "detection_fairness", _fairness),
    Published("benchmarks.challenge", "challenge", _challenge),
    Published("benchmarks.demo.seeds", "demo_seeds", _seeds),
)
"""In the order in which an evening runs them."""
