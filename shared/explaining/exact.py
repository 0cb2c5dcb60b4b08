"""Exact explanations: what a model's own parts add up to, and on which scale.

Nothing is taken on trust: the scale is told by which function makes the prediction of the sum.
Pure.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.events import Value
from driftgauge.shared.explaining.explanation import Explanation, Scale, Unexplained
from driftgauge.shared.explaining.linear import mean_row, of_linear, require_linear
from driftgauge.shared.explaining.stacks import Stack, stack_of
from driftgauge.shared.explaining.steps import gathered, parted, through
from driftgauge.shared.explaining.trees import of_trees
from driftgauge.shared.reference.pii import text_of
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema

CLOSE: Final = 2e-5
"""Largest relative difference of what is the same; some libraries add up in single precision."""
SINGLE_PRECISION: Final = 2.0**-23
"""Largest error of a probability in single precision."""
LARGEST_EXPONENT: Final = 700.0
"""A larger one has no power of e that is a number."""

Inputs = Callable[[Sequence[list[Value]]], Any]
"""Makes the model's matrix or frame of rows in the schema's order."""


class Answers(NamedTuple):
    """What a model answers rows with.

    Parameters
    ----------
    values
        Shape (rows, outputs): numbers, probabilities, or scores of classes.
    classes
        Labels of the outputs; of one output of two classes, both; none of numbers.
    probable
        Whether the values are probabilities.
    """

    values: Floats
    classes: Sequence[str] = ()
    probable: bool = False


def explained(
    fitted: Any,
    rows: Sequence[list[Value]],
    inputs: Inputs,
    schema: Schema,
    reference: ReferenceProfile,
) -> list[Explanation]:
    """Explain rows, of several classes the one that is predicted, of two the second.

    Parameters
    ----------
    fitted
        A fitted model, or a pipeline that ends with one.
    reference
        The version's reference, whose means linear models are explained by.

    Raises
    ------
    Unexplained
        If the model is of no kind that has contributions of its own.
    Exception
        Whatever the model or its library raises.
    """
    given = inputs(rows)
    parts = parts_of(fitted, given, lambda: inputs([mean_row(schema, reference)]))
    if not np.isfinite(parts).all():
        raise Unexplained("gives contributions for this row that are no finite numbers")
    answers = answers_of(fitted, given)
    return [_one(own, answers, row) for row, own in enumerate(parts)]


def parts_of(fitted: Any, rows: Any, middle: Callable[[], Any]) -> Floats:
    """Return what each column of rows contributes to each output of a model, shape (rows, outputs,
    columns + 1), the base last.

    Parameters
    ----------
    middle
        Makes the row that linear models hold others against.
    """
    steps, model = parted(fitted)
    made = through(steps, rows)
    stack = stack_of(model)
    parts = None if stack is not None else of_trees(model, made.rows)
    if stack is not None:
        parts = _of_members(stack, made.rows, lambda: through(steps, middle()).rows)
    elif parts is None:
        require_linear(model)
        parts = of_linear(model, made.rows, through(steps, middle()).rows)
    return gathered(parts, made.owners, rows.shape[1])


def _of_members(stack: Stack, rows: Any, middle: Callable[[], Any]) -> Floats:
    """Add up what the members contribute, each by its weight."""
    total = np.zeros((len(rows), 1, rows.shape[1] + 1))
    total[:, :, -1] = stack.constant
    for member, weight in zip(stack.members, stack.weights, strict=True):
        parts = parts_of(member, rows, middle)
        sums, size = parts.sum(axis=2), np.abs(parts).max(axis=2)
        if (np.abs(sums - answers_of(member, rows).values) > CLOSE * size).any():
            raise Unexplained(
                f"has a member whose contributions are on another scale ({type(member).__name__})"
            )
        total += weight * parts
    return total


def answers_of(fitted: Any, inputs: Any) -> Answers:
    """Return what a model answers rows with: probabilities of classes where it has them."""
    labels = np.asarray(getattr(fitted, "classes_", ())).tolist()
    if not labels:  # CatBoost's regressions have them, and have none in them
        numbers = np.asarray(fitted.predict(inputs), dtype=np.float64)
        return Answers(numbers.reshape(len(numbers), -1))
    classes = [text_of(label) for label in labels]
    probable = hasattr(fitted, "predict_proba")
    asked = fitted.predict_proba if probable else fitted.decision_function
    values = np.asarray(asked(inputs), dtype=np.float64)
    return Answers(values.reshape(len(values), -1), classes, probable)


def scale_of_number(total: float, answer: float, size: float = 1.0) -> Scale:
    """Tell on which scale a sum is that a number is made of.

    Parameters
    ----------
    answer
        The number that the model answers.
    size
        Size of the parts of the sum, which rounding goes with.

    Examples
    --------
    >>> [scale_of_number(total, answer) for total, answer in [(3, 3), (2, 7.389056), (0, 0.5)]]
    ['prediction', 'log_prediction', 'log_odds']
    >>> scale_of_number(2, 4)
    'margin'
    """
    if abs(total - answer) <= CLOSE * max(abs(answer), size):
        return "prediction"
    if total < LARGEST_EXPONENT and abs(float(np.exp(total)) - answer) <= CLOSE * abs(answer):
        return "log_prediction"
    return scale_of_probability(total, answer)


def scale_of_probability(total: float, answer: float) -> Scale:
    """Tell on which scale a sum is that the probability of the second of two classes is made of.

    Examples
    --------
    >>> scale_of_probability(-2, 0.1192029), scale_of_probability(-2, 0.13)
    ('log_odds', 'margin')
    """
    power = float(np.exp(-min(max(total, -LARGEST_EXPONENT), LARGEST_EXPONENT)))
    close = CLOSE * min(answer, 1 - answer) + SINGLE_PRECISION
    return "log_odds" if abs(1 / (1 + power) - answer) <= close else "margin"


def _one(parts: Floats, answers: Answers, row: int) -> Explanation:
    """Explain one output of a row.

    Parameters
    ----------
    parts
        Shape (outputs, features + 1).
    """
    values = answers.values[row]
    scale: Scale = "margin"
    chosen, about = 0, None
    if len(parts) > 1:  # scores of classes
        chosen = int(values.argmax())
        about = answers.classes[chosen]
    elif answers.classes:
        about = answers.classes[1]
        if answers.probable:
            scale = scale_of_probability(float(parts.sum()), float(values[1]))
    else:
        size = float(np.abs(parts).max())
        scale = scale_of_number(float(parts.sum()), float(values[0]), size)
    *contributions, base = parts[chosen].tolist()
    return Explanation(contributions, base, scale, about)
