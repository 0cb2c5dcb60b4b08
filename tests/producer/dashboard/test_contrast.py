"""Colours of what can be used: fields and buttons are seen by their borders (WCAG 2.2, 1.4.11)."""

import re

import pytest

from driftgauge.producer.dashboard.assets import FOLDER

LEAST = 3.0
STYLE = (FOLDER / "dashboard.css").read_text()
CONTROLS = ("button.quiet,.button.quiet", "input,select,textarea", ".drop", ".chips a")
"""Rules of controls that have no fill of their own colour."""


def colours(scheme: str) -> dict[str, str]:
    """Read the custom properties of a scheme: the dark ones stand over the light ones."""
    light, dark = re.findall(r":root\{(.*?)\}", STYLE, re.DOTALL)
    found = dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]{3,6})\b", light))
    return found | (
        dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]{3,6})\b", dark)) if scheme == "dark" else {}
    )


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_contrast_of_known_colours() -> None:
    """Black on white is 21 to 1, and the grey of the recommendation's own examples 4.54."""
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_seen_by_its_border(scheme: str, control: str) -> None:
    """The border of a field or a button differs 3 to 1 from every ground on which it stands, in
    light and in dark.
    """
    (rule,) = re.findall("\n" + re.escape(control) + r"\{([^}]*)\}", STYLE)
    (name,) = re.findall(r"border(?:-color)?:[^;]*var\(--([a-z]+)\)", rule)
    known = colours(scheme)
    for ground in ("page", "card", "raised"):
        assert contrast(known[name], known[ground]) >= LEAST, (name, ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_filled_button_is_seen_by_its_fill(scheme: str) -> None:
    """So does the fill of a button that has one."""
    known = colours(scheme)
    for fill in ("accent", "critical"):
        assert (
            min(contrast(known[fill], known[ground]) for ground in ("page", "card", "raised"))
            >= LEAST
        )
