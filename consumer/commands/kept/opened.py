"""Shared by the commands of the archive."""

import time
from typing import TYPE_CHECKING, Any, Final

import click

from driftgauge.shared.contract.keys import MODEL_NAME
from driftgauge.shared.durations import milliseconds, minutes_of
from driftgauge.shared.errors import BadData, ConfigurationError, ModelNotFound
from driftgauge.shared.local.finding import located_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftgauge.consumer.judging.policy import JudgingPolicy
    from driftgauge.shared.archive.store import Store

TIME_HELP: Final = "a time such as 2025-11-20 or 2025-11-20T12:00:00Z, or how long ago, such as 7d"


_BOUNDS = (
    click.option("--since", metavar="TIME", help=f"First time: {TIME_HELP}."),
    click.option("--until", metavar="TIME", help="Time before which they end."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="Seconds after which a query of the archive ends.",
    ),
    click.option(
        "--memory",
        type=click.IntRange(min=64),
        default=1024,
        show_default=True,
        help="Most memory of a query, in MB.",
    ),
)


def query_options(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add the options that say which rows are asked for, and what a query may take."""
    for option in reversed(_BOUNDS):
        command = option(command)
    return command


def opened_archive() -> "Store":
    """Open the archive that the settings name.

    Raises
    ------
    ConfigurationError
        If they name none.
    """
    from driftgauge.shared.archive.store import open_store

    url = located_settings().archive_url
    if url is None:
        raise ConfigurationError(
            "Nothing is archived here: set DRIFTGAUGE_ARCHIVE_URL to the archive's folder or "
            "address, for the workers and for this command."
        )
    return open_store(url)


def policy_of(model: str) -> "JudgingPolicy":
    """Return the judging policy of a model by the settings and the policy file."""
    from driftgauge.consumer.policies.file import read_file
    from driftgauge.consumer.running.settled import judging_policy

    settings = located_settings()
    judged = judging_policy(settings, 1)
    path = settings.policy_file
    return judged if path is None else read_file(path).file.apply(judged, model)


def require_model(store: "Store", model: str) -> None:
    """Check that the archive has rows of a model.

    Raises
    ------
    ModelNotFound
        If it has none; the message names the models that it has.
    """
    from driftgauge.shared.archive.manifest import KINDS

    if MODEL_NAME.fullmatch(model) and any(
        True for kind in KINDS for _ in store.find(f"{kind}/model={model}")
    ):
        return
    names = models_of(store)
    there = f"it has {', '.join(names)}" if names else "it is empty"
    raise ModelNotFound(f"{store.where()} has nothing of {model!r}: {there}.")


def models_of(store: "Store") -> list[str]:
    """Return the names of the models that the archive has."""
    from driftgauge.shared.archive.manifest import KINDS

    parts = (
        path.split("/")[1] for kind in KINDS for path in store.find(kind) if path.count("/") > 1
    )
    return sorted({part.removeprefix("model=") for part in parts if part.startswith("model=")})


def time_of(text: str | None, option: str) -> int | None:
    """Return a time that an option gives, in Unix ms; None without one.

    Raises
    ------
    BadData
        If it is no time.

    Examples
    --------
    >>> time_of("2025-11-20", "--since"), time_of("2025-11-20T12:00:00Z", "--since")
    (1763596800000, 1763640000000)
    """
    if text is None:
        return None
    found = milliseconds(text if "T" in text else f"{text}T00:00:00Z")
    if found is not None:
        return found
    try:
        return int(1000 * (time.time() - 60 * minutes_of(text)))
    except BadData:
        raise BadData(f"{option}: {text!r} is no time; give {TIME_HELP}.") from None
