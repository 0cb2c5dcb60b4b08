"""One feature of a model: its name and kind, and the reading of single values.

A value of a request, a cell of a CSV file, and a cell of the reference become the same value by the
same rules: 3, 3.0 and "3" are one category, true, "true" and "True" one boolean.
"""

import math
from typing import Final, Literal

import msgspec

from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.pii import PiiTreatment, text_of
from driftgauge.shared.reference.times import moment, zone_of
from driftgauge.shared.reference.units import check_unit
from driftgauge.shared.tables.format import TableFormat, TimeFormat
from driftgauge.shared.tables.values import number

Kind = Literal["numeric", "categorical"]
"""How values stand in the log and are counted: as numbers, or as texts."""
FeatureKind = Literal["numeric", "categorical", "boolean", "timestamp"]
ModelDtype = Literal["float64", "bool", "object", "category", "number_category", "datetime"]
"""How a model's frame holds a feature; the values of a `number_category` are numbers."""
MAX_CATEGORY: Final = 1024
"""Most characters of a category: a longer one is refused where a model would get it, else cut."""
PLAIN: Final = TableFormat()
WRITTEN: Final = "as written"
"""What a file's column is read as that is left as it is."""
BOOLEANS: Final = {
    "true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0,
    "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0,
}  # fmt: skip
"""Texts, in any case, that are true or false where the feature is a boolean."""
NOT_FINITE: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}
"""The marks that mean infinities; NaN has its own."""
NOT_FINITE_MARKS: Final = frozenset(("NaN", *NOT_FINITE.values()))


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One feature of a model.

    Parameters
    ----------
    kind
        A boolean stands in the log as the number 0 or 1. A timestamp stands there as the number
        that it is written as, or as Unix milliseconds if it is written as text; what is judged is
        its age when the event happened.
    nullable
        True if the value may be missing (absent or null); a missing value is counted as missing.
    minimum, maximum
        Declared range of a numeric feature, both ends included; None is no limit.
    categories
        Declared categories of a categorical feature; None allows any string.
    excluded
        Why drift is not judged on the feature; empty if it is.
    dtype
        How the model was fitted on the feature: `float64`, `bool`, `object` (texts), `category` of
        pandas, `number_category`, or `datetime`. None is the usual one of its kind. A categorical
        feature that is `float64` has numbers as its categories, such as codes.
    missing
        Marker of a missing text in the model's frame: `nan`, as in frames read from CSV, or `none`.
    pii
        Treatment of the feature in events. None is decided by the feature's name
        (shared/reference/pii.py) when it becomes part of a schema. The decision is stored, so that
        a longer list of personal names does not change existing versions.
    marks
        Texts that mean a missing value of this feature, beside those of the schema's table.
    time
        How a timestamp is written; None is ISO 8601, or Unix milliseconds.
    judged
        What is judged of a timestamp.
    unit
        Unit of a number, such as `kWh`, that is shown beside it.
    derived
        What a derived column is, in words: clients do not send it, the API computes it of the row
        (shared/reference/derivation.py). Empty for a feature.

    Raises
    ------
    BadData
        If a time zone is unknown, or a unit cannot be one.
    """

    name: str
    kind: FeatureKind
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    excluded: str = ""
    pii: PiiTreatment | None = None
    dtype: ModelDtype | None = None
    missing: Literal["nan", "none"] = "nan"
    marks: tuple[str, ...] = ()
    time: TimeFormat | None = None
    judged: Literal["age", "hour_of_week"] = "age"
    unit: str = ""
    derived: str = ""

    def __post_init__(self) -> None:
        check_unit(self.unit, repr(self.name), self.kind)
        if self.time is not None:
            zone_of(self.time.timezone)

    @property
    def counted(self) -> Kind:
        """How its values stand in the log and are counted."""
        return "categorical" if self.kind == "categorical" else "numeric"

    @property
    def judged_as(self) -> str:
        """What its numbers are, where they are not the values themselves; else empty.

        Examples
        --------
        >>> Feature("since", "timestamp").judged_as, Feature("paid", "boolean").judged_as
        ('age', 'true is 1')
        """
        if self.kind == "timestamp":
            return "age" if self.judged == "age" else "hour of the week"
        return "true is 1" if self.kind == "boolean" else self.derived

    @property
    def judged_unit(self) -> str:
        """Unit of its numbers as they are judged; empty if none is known.

        Examples
        --------
        >>> Feature("load", "numeric", unit="kWh").judged_unit
        'kWh'
        >>> Feature("since", "timestamp").judged_unit
        's'
        """
        if self.kind != "timestamp":
            return self.unit
        if self.judged == "hour_of_week":
            return "h"
        return self.time.unit if self.time is not None and self.time.unit else "s"

    @property
    def file_kind(self) -> str:
        """What a file's column is read as before its cells are read by the feature's rules."""
        plain = self.kind in {"numeric", "categorical"} and not self.marks
        return self.kind if plain else WRITTEN

    @property
    def model_dtype(self) -> ModelDtype:
        """How the model's frame holds the feature: as declared, or as its kind usually is."""
        if self.dtype is not None:
            return self.dtype
        usual: dict[FeatureKind, ModelDtype] = {"categorical": "object", "boolean": "bool"}
        return usual.get(self.kind, "float64")

    @property
    def coded(self) -> bool:
        """True if its categories are numbers."""
        return self.kind == "categorical" and self.dtype in {"float64", "number_category"}

    def fault(self, value: object) -> str | None:
        """Return what is wrong with a value, as decoded from JSON; None if nothing is.

        Examples
        --------
        >>> Feature("age", "numeric", minimum=0).fault(-1)
        'is below the declared minimum 0'
        """
        return self.read(value)[1]

    def read(
        self, value: object, form: TableFormat = PLAIN, *, texts: bool = False, scored: bool = True
    ) -> tuple[Value, str | None]:
        """Read a value, as decoded from JSON.

        Parameters
        ----------
        form
            How missing values, and numbers as text, are written.
        texts
            True if a number may be written as text, as in the cells of a CSV file.
        scored
            True if a model is to be called with it, which can take no other code than a number, and
            no text that is cut.

        Returns
        -------
        value, fault
            The value as it stands in the log, None if it is missing; and what is wrong with it,
            None if nothing is.

        Examples
        --------
        >>> code = Feature("code", "categorical")
        >>> [code.read(value)[0] for value in (3, 3.0, "3", "03")]
        ['3', '3', '3', '03']
        >>> Feature("age", "numeric", nullable=True, marks=("?",)).read("?")
        (None, None)
        >>> Feature("paid", "boolean").read("True"), Feature("at", "timestamp").read("1970-01-02")
        ((1.0, None), (86400000.0, None))
        """
        kind = self.kind
        if kind == "numeric" and type(value) is float and value - value == 0.0:  # the usual case
            return self._within(value)
        if self.is_missing(value, form):
            return None, None if self.nullable else "is missing, and the schema does not allow that"
        if kind == "numeric":
            return self._number(value, form, texts=texts)
        if kind == "categorical":
            return self._category(value, form, scored=scored)
        if kind == "boolean":
            return self._boolean(value)
        return self._time(value, form, texts=texts)

    def as_published(self) -> "Feature":
        """Return the feature as events have it: a hash is a category, and none is declared."""
        if self.pii != "hash":
            return self
        return Feature(self.name, "categorical", self.nullable, excluded=self.excluded, pii="hash")

    def code_of(self, text: str, form: TableFormat) -> str | None:
        """Return a code as it is counted, where the categories are numbers; None if it is none."""
        if not self.coded:
            return None
        found = number(text, form)
        if found is None:
            found = number(text, PLAIN)
        return text_of(found) if found is not None and math.isfinite(found) else None

    def is_missing(self, value: object, form: TableFormat) -> bool:
        """Return whether a value is none: null, a mark, or not finite where that is a mark."""
        if value is None:
            return True
        if type(value) is str and not self.marks and not form.missing:
            return not value or value.isspace()
        if isinstance(value, str):
            return form.is_missing(value) or (bool(self.marks) and value.strip() in self.marks)
        if isinstance(value, float) and not math.isfinite(value):
            name = NOT_FINITE.get(value, "NaN")
            return name in form.missing or name in self.marks
        return False

    def _number(self, value: object, form: TableFormat, *, texts: bool) -> tuple[Value, str | None]:
        if texts and isinstance(value, str):
            found = number(value, form)
            value = value if found is None else found
        if type(value) is not float and type(value) is not int:
            return None, f"must be a number, not {_json_type(value)}"
        try:
            size = float(value)
        except OverflowError:
            return None, "is too large for a floating-point number"
        if not math.isfinite(size):
            return None, "must be a finite number, not NaN or infinity"
        return self._within(size)

    def _within(self, size: float) -> tuple[Value, str | None]:
        if self.minimum is not None and size < self.minimum:
            return None, f"is below the declared minimum {self.minimum:g}"
        if self.maximum is not None and size > self.maximum:
            return None, f"is above the declared maximum {self.maximum:g}"
        return size, None

    def _category(
        self, value: object, form: TableFormat, *, scored: bool
    ) -> tuple[Value, str | None]:
        if isinstance(value, str):
            text = value
        elif isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            text = text_of(value)
        else:
            return None, f"must be a string, not {_json_type(value)}"
        code = self.code_of(text, form) if self.dtype is not None else None
        if code is not None:
            text = code
        elif scored and self.coded:
            return None, "must be a number, as all categories that the model was fitted on"
        if len(text) > MAX_CATEGORY:
            if scored:
                return None, f"is longer than {MAX_CATEGORY} characters"
            text = text[:MAX_CATEGORY]
        if self.categories is not None and text not in self.categories:
            if self.pii in {"drop", "hash"}:  # the categories themselves are personal
                return None, "is not one of the declared categories"
            return None, "is not one of the declared categories: " + ", ".join(self.categories[:20])
        return text, None

    def _boolean(self, value: object) -> tuple[Value, str | None]:
        if isinstance(value, str):
            found = BOOLEANS.get(value.strip().lower())
        else:
            found = float(value) if isinstance(value, int | float) and value in {0, 1} else None
        return found, "must be true or false" if found is None else None

    def _time(self, value: object, form: TableFormat, *, texts: bool) -> tuple[Value, str | None]:
        written = self.time or TimeFormat()
        if written.pattern and type(value) is int:
            value = str(value)  # such as 20260112
        if isinstance(value, str) and written.unit is None:
            found = moment(value, written)
            how = f"as {written.pattern}" if written.pattern else "such as 2025-11-20T12:00:00Z"
            return found, f"must be a time {how}" if found is None else None
        found_number, fault = self._number(value, form, texts=texts)
        if fault is None:
            return found_number, None
        return None, f"must be a time as a number of {written.unit or 'ms'} since 1970"


class UnreadFeature(Feature, frozen=True):
    """A feature that is dropped before anybody reads it, so that every value is allowed."""

    def read(
        self,
        value: object,  # noqa: ARG002
        form: TableFormat = PLAIN,  # noqa: ARG002
        *,
        texts: bool = False,  # noqa: ARG002
        scored: bool = True,  # noqa: ARG002
    ) -> tuple[Value, str | None]:
        return None, None


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {
        str: "a string",
        list: "a list",
        dict: "an object",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null" if value is None else type(value).__name__)
