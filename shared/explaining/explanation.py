"""What an explanation is, and why there may be none."""

from typing import Literal

import msgspec

Scale = Literal["prediction", "log_prediction", "log_odds", "margin", "probability"]
"""What a base and its contributions add up to: the prediction itself, its natural logarithm, the
log odds of a class, a raw score of the model that is none of these, or the probability of a class.
"""


class Explanation(msgspec.Struct, frozen=True):
    """What each feature contributed to the prediction of a row.

    Parameters
    ----------
    contributions
        Of each feature in the schema's order. With the base they add up to what `scale` says.
    base
        What the model gives without knowledge of the row.
    about
        The class that `log_odds`, `margin` and `probability` are about; None of numbers.
    standard_errors
        Of each contribution, if they are an estimate; None if they are exact.
    """

    contributions: list[float]
    base: float
    scale: Scale
    about: str | None = None
    standard_errors: list[float] | None = None


class Unexplained(Exception):
    """A model or a row has no explanation of the kind that was asked for.

    The message is a sentence without its subject and its full stop, such as `has no contributions
    of its own`; whoever answers it names the model.
    """
