"""The columns of a table, recognised together: how its numbers are written is asked of all of them
first.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from driftgauge.shared.reference.columns.choices import Choices, Circumstances, ColumnRow
from driftgauge.shared.reference.columns.notation import notation_of
from driftgauge.shared.reference.columns.recognising import recognised
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.steps import At, silent, steps

LOOKING: Final = "looking at what they are"


def recognise(
    columns: Mapping[str, Any], choices: Choices, place: Circumstances, at: At = silent
) -> tuple[dict[str, tuple[Feature, ColumnRow]], Choices, str]:
    """Find out what the columns of a table are.

    Parameters
    ----------
    columns
        Texts of a file, or columns of a data frame, by name.
    at
        Told of each column.

    Returns
    -------
    found
        By name, what a column is, and its line of the table.
    choices
        What was said, with the notation of the numbers.
    remark
        How they are written, if that was recognised; else empty.

    Raises
    ------
    BadData
        If a column can be meant in two ways that matter.
    """
    form, remark = notation_of(columns, choices.table)
    choices = msgspec.structs.replace(choices, table=form)
    found = {
        name: recognised(name, cells, choices, place, nullable=not place.fitted)
        for name, cells in steps(LOOKING, columns.items(), at)
    }
    return found, choices, remark
