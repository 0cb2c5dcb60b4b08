"""Archived rows with labels, and what champion and challenger lose on each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.offline.archived.challenger import Challenger
from driftgauge.consumer.offline.archived.events import column_of, numbers_or_texts, shares_of
from driftgauge.shared.archive.columns import column_names
from driftgauge.shared.archive.joining import joined
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import Store
from driftgauge.shared.arrays import Flags, Ints
from driftgauge.shared.errors import BadData
from driftgauge.shared.paired.losses import Answers, LossName, Pairs, losses_of, pairs_of
from driftgauge.shared.paired.sequence import FIRST
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.performance.value import Worth
from driftgauge.shared.reference.frames import answers_of
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.wording.numbers import count, figure, with_unit

MOST_ROWS: Final = 2_000_000
"""Most labelled rows that are compared: about 100 B of memory each."""


class PairedRows(NamedTuple):
    """Some compared rows: their times and those of their labels (Unix ms), pairs of losses, and the
    place of each one's value among those of each segment feature.
    """

    times: Ints
    labelled: Ints
    pairs: Mapping[LossName, Pairs]
    codes: NDArray[np.int8]


class Pairing:
    """Reads rows and computes the losses of both versions.

    Parameters
    ----------
    worth
        What predictions are worth; None if nobody states it.
    by
        What they are compared by; None for the value if it is known, else the error.

    Attributes
    ----------
    losses
        What they are compared by, first what was asked for.
    left_out
        Labelled rows that the challenger's schema does not take.

    Raises
    ------
    BadData
        If they cannot be compared by what is asked for.
    """

    def __init__(
        self,
        challenger: Challenger,
        champion: PublishedVersion,
        worth: Worth | None,
        by: LossName | None,
    ) -> None:
        self.left_out = 0
        self._challenger = challenger
        self._champion = champion
        layout = Layout.of(champion.schema, champion.reference)
        assert layout is not None  # noqa: S101  the challenger was held against its prediction
        self._layout = layout
        lacking = "the policy states none" if worth is None else worth.lacking(layout)
        self._worth = None if lacking else worth
        scored = challenger.scored and layout.scored
        unit = champion.schema.unit
        losses = losses_of(layout, unit, self._worth, scored=scored)
        names = [loss.name for loss in losses]
        if by is not None and by not in names:
            why = lacking if by == "value" else "not both give a probability of each class"
            raise BadData(f"They cannot be compared by {by}: {why}. Choose {' or '.join(names)}.")
        self.losses = sorted(losses, key=lambda loss: loss.name != (by or names[0]))

    def parts(self, store: Store, wanted: Range) -> Iterator[PairedRows]:
        """Yield the labelled rows of a range, part by part."""
        sources = pa.array(sorted(CellMap.of(self._champion).sources), pa.string())
        rows = 0
        for batch in joined(store, wanted, _refuse):
            counts = pc.is_in(batch.column("source").cast(pa.string()), sources)
            known = (column_of(batch, name).is_valid() for name in ("prediction", "label"))
            for each in known:
                counts = pc.and_(counts, each)
            part = self._part(batch.filter(counts))
            rows += 0 if part is None else len(part.times)
            if rows > MOST_ROWS:
                raise BadData(
                    f"The range has more than {MOST_ROWS:,} rows with labels. Choose a later "
                    f"--since, or an earlier --until."
                )
            if part is not None:
                yield part

    def _part(self, batch: Any) -> PairedRows | None:
        """Compare the rows of a batch; None if it has none that the challenger takes."""
        if not batch.num_rows:
            return None
        schema = self._champion.schema
        names = [feature.name for feature in schema.stream.features]
        archived = dict(zip(names, column_names(names), strict=True))
        wanted = (archived[feature.name] for feature in self._challenger.features)
        columns = [numbers_or_texts(column_of(batch, name)) for name in wanted]
        takes = self._challenger.takes(columns)
        if not takes.all():
            self.left_out += int(np.count_nonzero(~takes))
            columns = [_chosen(column, takes) for column in columns]
            batch = batch.filter(pa.array(takes))
        if not batch.num_rows:
            return None
        classes = len(schema.classes)
        shares = shares_of(column_of(batch, "probabilities"), classes) if classes else None
        first = Answers(self._answers(batch, "prediction"), shares)
        second = self._challenger.answers(columns)
        labels = self._answers(batch, "label")
        pairs = pairs_of(self._layout, self.losses, self._worth, labels, first, second)
        times, labelled = (
            batch.column(name).cast(pa.int64()).to_numpy() for name in ("time", "label_time")
        )
        held = self._champion.reference.segments
        codes = [_codes(batch, archived[one.feature], one.values) for one in held]
        shape = (len(held), len(times))
        return PairedRows(times, labelled, pairs, np.array(codes, np.int8).reshape(shape))

    def _answers(self, batch: Any, name: str) -> Column:
        """Return predictions or labels as the schema has them, whatever type the archive has."""
        values = pd.Series(numbers_or_texts(batch.column(name)), name=name)
        return answers_of(values, self._champion.schema)

    def notes(self, whole: PairedRows) -> Iterator[str]:
        """Yield what is to be known of the rows, and of the comparison."""
        if self.left_out:
            yield (
                f"{count(self.left_out)} labelled rows are left out because the schema of "
                f"{self._challenger.version} refuses them."
            )
        if len(whole.times) < FIRST:
            yield f"Nothing is decided before {FIRST} labels."
        loss = self.losses[0]
        apart = whole.pairs[loss.name].apart
        if not apart.any():
            yield "Both say the same of every row."
        elif self._layout.kind == "numeric":
            yield (
                f"The two are {figure(float(apart.mean()), 3)} apart on average and "
                f"{with_unit(figure(float(apart.max()), 3), loss.unit)} at most, which is what the "
                f"interval rests on: it says nothing of rows on which they are farther apart."
            )
        yield (
            f"{self._champion.manifest.version} answered these rows when they came, and "
            f"{self._challenger.version} predicted them now: where a prediction changes what "
            f"happens next, and so the label, that is not seen here."
        )


def together(parts: Sequence[PairedRows]) -> PairedRows:
    """Put parts together in the order in which the labels came: what comes later is at the end."""
    times, labelled = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("times", "labelled")
    )
    order = np.lexsort((times, labelled))
    pairs = {
        name: Pairs.together([part.pairs[name] for part in parts])[order] for name in parts[0].pairs
    }
    codes = np.concatenate([part.codes for part in parts], axis=1)
    return PairedRows(times[order], labelled[order], pairs, codes[:, order])


def _codes(batch: Any, name: str, values: Sequence[str]) -> Ints:
    """Return the place of each row's value; the last one for all others."""
    texts = column_of(batch, name).cast(pa.string()).to_pandas()
    codes = np.asarray(pd.Categorical(texts, categories=list(values)).codes, np.int64)
    return np.where(codes < 0, len(values), codes)


def _chosen(column: Column, rows: Flags) -> Column:
    if isinstance(column, list):
        return [value for value, wanted in zip(column, rows.tolist(), strict=True) if wanted]
    return column[rows]


def _refuse(said: str) -> NoReturn:
    raise BadData(f"A comparison needs all rows. {said}")
