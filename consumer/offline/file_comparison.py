"""Two files instead of a stream: the columns of the first are recognised as at a registration, and
the second is read by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.offline.comparison import Plan, judge
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.reference.columns.notation import notation_of
from driftgauge.shared.steps import At, silent, steps
from driftgauge.shared.tables.reading import open_table
from driftgauge.shared.tables.table import Table


@dataclass(frozen=True)
class FileComparison:
    """What was found.

    Parameters
    ----------
    snapshot
        As of `compare`.
    remarks
        What was recognised of the files, and what may be wrong with the columns.
    """

    snapshot: Snapshot
    remarks: tuple[str, ...]


def compare_files(
    reference: Path,
    current: Path,
    choices: Choices,
    *,
    features: Sequence[str] = (),
    exclude: Sequence[str] = (),
    policy: JudgingPolicy | None = None,
    false_alarms: float = 0.01,
    created: int = 0,
    at: At = silent,
) -> FileComparison:
    """Compare two files, column by column.

    Parameters
    ----------
    choices
        How cells are written, and what columns are taken as.
    features
        Columns to compare; none for all of the reference. One of these texts may name several, with
        commas.
    exclude
        Columns that are shown, but not judged; as well.
    policy, false_alarms
        As of `compare`.
    created
        Unix time (ms) for the report.
    at
        Told of each column that is being worked on.

    Raises
    ------
    BadData
        If a file cannot be read, a named column is not in the reference, numbers can be meant in
        two ways, or no column can be compared.
    """
    first = open_table(reference, choices.table)
    chosen, excluded = _named(first, features), _named(first, exclude)
    names = chosen or list(first.columns)
    _check(first, (*names, *excluded, *choices.types, *choices.units))
    form, remark = notation_of({name: first.columns[name] for name in names}, choices.table)
    choices = msgspec.structs.replace(choices, table=form)
    plan = Plan(names, dict.fromkeys(excluded, "excluded by the caller"))
    for name in steps("looking at what they are", names, at):
        plan.add(name, first.columns[name], choices)
    kinds = {feature.name: feature.file_kind for feature in plan.features}
    second = open_table(current, form)
    before = replace(first, form=msgspec.structs.replace(form, separator=None)).typed(kinds)
    after = second.typed(kinds)
    for title, typed in (("reference", before), ("current", after)):
        for name, fault in typed.faults.items():
            if name in kinds:
                plan.faults.setdefault(name, f"{title}: {fault}".rstrip("."))
    snapshot = judge(
        before.frame,
        after.frame,
        plan,
        form,
        policy=policy,
        false_alarms=false_alarms,
        name=f"{reference.name} and {current.name}",
        created=created,
        at=at,
    )
    new = [name for name in second.columns if name not in first.columns]
    told = [*first.remarks, *second.remarks, *([remark] if remark else [])]
    told += [f"{row.column}: {warning}." for row in plan.rows for warning in row.warnings]
    if new and not features:
        told.append(
            f"Only {current} has these columns, so they are not compared: {', '.join(new)}."
        )
    return FileComparison(snapshot, tuple(told))


def _named(table: Table, given: Sequence[str]) -> list[str]:
    """Return the columns that were named, by their whole names or with commas between them."""
    found: list[str] = []
    for text in given:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        found += [text] if text in table.columns else parts
    return list(dict.fromkeys(found))


def _check(table: Table, names: Sequence[str]) -> None:
    absent = [name for name in dict.fromkeys(names) if name not in table.columns]
    if absent:
        raise BadData(
            f"{table.source} has no column {', '.join(absent)}; it has: {', '.join(table.columns)}."
        )
