"""Times: how they are written is found out once, and what is judged of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile, counted
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.times import (
    PATTERNS,
    aged,
    event_times,
    moment,
    moments,
    unit_of,
    written,
)
from driftgauge.shared.statistics import STATISTICS, ColumnCounts
from driftgauge.shared.tables.format import TimeFormat

NOON = 1_760_011_200_000  # 2025-10-09T12:00Z, a Thursday


@pytest.mark.parametrize(("unit", "factor"), [("s", 1e-3), ("ms", 1.0), ("us", 1e3), ("ns", 1e6)])
def test_a_number_is_a_time_by_its_size(unit: str, factor: float) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds are told apart by their size, and give
    the same moment.
    """
    column = pd.Series([NOON * factor], name="ts")
    assert unit_of(column.to_numpy()) == unit
    ms, form = event_times(column, None, "f.csv")
    assert ms.tolist() == [NOON]
    assert form.unit == unit
    assert event_times(column.map("{:.0f}".format), form, "f.csv")[0].tolist() == [NOON]


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        (["2026-01-12", "2026-12-01T10:00:00Z"], ""),
        (["13.01.2026", "01.02.2026"], "%d.%m.%Y"),
        (["12/01/2026", "13/01/2026"], "%d/%m/%Y"),
        (["01/12/2026", "01/13/2026"], "%m/%d/%Y"),
        (["09-Oct-2025"], "%d-%b-%Y"),
        (["2026/01/12 10:00"], "%Y/%m/%d %H:%M"),
    ],
)
def test_the_way_in_which_times_are_written_is_recognised(texts: list[str], pattern: str) -> None:
    """ISO 8601 and the usual ways are known by all cells of the column together."""
    found = written("t", texts)
    assert found is not None
    assert found.pattern == pattern
    assert not np.isnan(moments(texts, found)).any()


def test_what_can_be_two_days_is_a_question() -> None:
    """A date that can be day or month first is never guessed."""
    with pytest.raises(BadData, match=r"'12/01/2026'.*2026-01-12 or 2026-12-01; say --date-format"):
        written("t", ["12/01/2026", "11/02/2026"])
    with pytest.raises(BadData, match="say --date-format"):
        event_times(pd.Series(["12/01/2026"], name="t"), None, "f.csv")
    said = TimeFormat(pattern="%d/%m/%Y")
    assert event_times(pd.Series(["02/01/1970"]), said, "f.csv")[0].tolist() == [86_400_000]
    same = written("t", ["01/01/2026", "02/02/2026"])
    assert same is not None, "both readings are the same days"


@pytest.mark.parametrize("text", ["rome", "12-01", "10:30", "1.2.3.4", "20260112", "a-1", "007"])
def test_other_texts_are_no_times(text: str) -> None:
    """A text with digits and marks is no time for that alone."""
    assert written("t", [text]) is None


def test_a_file_is_read_as_the_reference_was() -> None:
    """A later file whose times are written in another way is refused with its row, not guessed."""
    with pytest.raises(
        BadData, match=r"f.csv: column t cannot be read as times \(%d/%m/%Y\): row 2"
    ):
        event_times(
            pd.Series(["12/01/2026", "2026-01-12"], name="t"),
            TimeFormat(pattern="%d/%m/%Y"),
            "f.csv",
        )
    with pytest.raises(BadData, match="2 rows have no t"):
        event_times(pd.Series([1.0, None, None], name="t"), None, "f.csv")


def test_the_age_of_a_time_does_not_drift_as_days_go_by() -> None:
    """60 later days of the same process have the same ages: PSI is what chance gives. Among their
    own dates nothing would be seen before.
    """
    random = np.random.default_rng(3)
    schema = Schema((Feature("ordered", "timestamp", time=TimeFormat(unit="s")),), None)

    def days(first: int, rows: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        events = NOON + (first + random.uniform(0, 60, rows)) * 86_400_000
        return np.floor(events / 1000 - random.gamma(2, 86_400, rows)), events

    (before, events), (after, later) = days(0, 20_000), days(60, 20_000)
    (known,) = build_profile(schema, counted(schema, [before], events), None).columns
    cells = known.cells(counted(schema, [after], later)[0])
    psi = STATISTICS["psi"](ColumnCounts(known, np.bincount(cells, minlength=len(known.counts))))
    assert psi.value is not None
    assert psi.value < 0.005
    slower = known.cells(counted(schema, [after - 86_400], later)[0])
    moved = STATISTICS["psi"](ColumnCounts(known, np.bincount(slower, minlength=len(known.counts))))
    assert moved.value is not None
    assert moved.value > 0.2


def test_the_hour_of_the_week_is_that_of_the_zone() -> None:
    """Monday 0:00 in the zone is hour 0, in summer and in winter."""
    form = TimeFormat(timezone="Europe/Berlin")
    values = moments(["2025-07-07T00:30+02:00", "2025-12-01T00:30+01:00", "1969-12-29"], form)
    assert aged(values, values, form, "hour_of_week").tolist() == [0.0, 0.0, 0.0]
    utc = aged(np.array([float(NOON), np.nan]), np.zeros(2), TimeFormat(), "hour_of_week")
    assert utc[0] == 3 * 24 + 12
    assert np.isnan(utc[1])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["2025-01-01"] * 5 + ["9999-12-31"] + ["2025-01-02"] * 5),
        pd.Series([1.76e9] * 5 + [1e300] + [1.76e9] * 5),
        pd.Series(pd.to_datetime(["2025-01-01"] * 5 + ["9999-12-31"] + ["2025-01-02"] * 5)),
    ],
)
def test_a_time_of_another_age_is_refused(column: pd.Series) -> None:
    """One wrong time among the others is named by its row, instead of centuries being counted."""
    with pytest.raises(BadData, match=r"more than 200 years apart; row 6 holds"):
        event_times(column.rename("ts"), None, "f.csv")


def test_times_before_1970_are_times() -> None:
    """Whether as text or as negative numbers."""
    assert event_times(pd.Series(["1950-01-01"]), None, "f.csv")[0].tolist() == [-631152000000.0]
    ms, form = event_times(pd.Series([-6.3e8, 1.7e9]), None, "f.csv")
    assert (ms[0], form.unit) == (-6.3e11, "s")


WRITTEN = st.datetimes(pd.Timestamp("1600-01-01"), pd.Timestamp("2600-01-01")).flatmap(
    lambda one: st.sampled_from(
        [
            one.isoformat(),
            one.isoformat(" "),
            f"{one.isoformat()}Z",
            f"{one.isoformat()}+05:30",
            one.date().isoformat(),
            *(one.strftime(pattern) for pattern in PATTERNS),
        ]
    )
)
ODD = st.sampled_from(["", "2026-02-30", "2026-13-01", "2026", "2026-01-01Z", " 2026-01-01 ", "x"])


@given(
    st.lists(WRITTEN | ODD, min_size=1, max_size=8),
    st.sampled_from(["", *PATTERNS]),
    st.sampled_from(["UTC", "Europe/Berlin"]),
)
@settings(max_examples=300, deadline=None)
def test_many_times_are_read_as_one_is(texts: list[str], pattern: str, zone: str) -> None:
    """A column's times are those that each of its cells would be in a request, to the last
    microsecond.
    """
    form = TimeFormat(pattern=pattern, timezone=zone)
    single = [moment(text, form) for text in texts]
    found = moments(texts, form).tolist()
    assert [None if one != one else one for one in found] == pytest.approx(single, abs=1e-3)  # noqa: PLR0124  NaN
