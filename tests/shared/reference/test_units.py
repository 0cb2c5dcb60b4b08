"""Units: short plain text, of numbers only."""

import msgspec
import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.units import MOST_UNIT, unit_in


@pytest.mark.parametrize("unit", ["kWh", "µg/m³", "°C", "%", "NT$", "<b>", "a" * MOST_UNIT])
def test_a_unit_stands_in_the_schema(unit: str) -> None:
    """A schema's file gives each feature its unit, and one to prediction and labels; whatever it
    is, it is text.
    """
    schema = Schema((Feature("load", "numeric", unit=unit),), unit=unit)
    read = msgspec.json.decode(msgspec.json.encode(schema), type=Schema)
    assert (read.unit, read.features[0].judged_unit) == (unit, unit)


@pytest.mark.parametrize("unit", ["a" * (MOST_UNIT + 1), "k\nWh", "\x1b[31m", "\u202ehWk", " kWh"])
def test_what_is_no_short_plain_text_is_refused(unit: str) -> None:
    """No unit fills a headline, steers a terminal, or turns the text around it."""
    with pytest.raises(BadData, match="cannot be the unit of 'load'"):
        Feature("load", "numeric", unit=unit)
    with pytest.raises(BadData, match="cannot be the unit of the prediction"):
        Schema((Feature("load", "numeric"),), unit=unit)


def test_only_numbers_have_one() -> None:
    """Categories have none, nor has a hash of a number; an age has that of its times."""
    for kind in ("categorical", "boolean", "timestamp"):
        with pytest.raises(BadData, match="only numbers have one"):
            Feature("x", kind, unit="kWh")
    with pytest.raises(BadData, match="the prediction cannot have a unit"):
        Schema((Feature("x", "numeric"),), "categorical", unit="kWh")
    hashed = Schema((Feature("x", "numeric", unit="kWh", pii="hash"),)).stream
    assert hashed.features[0].judged_unit == ""
    assert Feature("at", "timestamp").judged_unit == "s"
    assert Feature("at", "timestamp", judged="hour_of_week").judged_unit == "h"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("load [kW]", "kW"),
        ("load[kW]", "kW"),
        ("load (kW)", "kW"),
        ("CO2(tCO2)", ""),
        ("[kW]", ""),
        ("mean(load)", ""),
        ("load []", ""),
        ("load [" + "k" * 17 + "]", ""),
        ("load [k\u202e]", ""),
        ("load", ""),
    ],
)
def test_a_name_may_hold_it(name: str, unit: str) -> None:
    """Square brackets at the end of a name, or round ones that stand apart; a call is no unit."""
    assert unit_in(name) == unit
