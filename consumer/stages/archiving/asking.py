"""What is said when the archive does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from driftgauge.shared.archive.store import Store
from driftgauge.shared.errors import DriftgaugeError


@contextmanager
def asking(store: Store) -> Iterator[None]:
    """Say in a sentence that the store failed; the stage is tried again.

    Raises
    ------
    DriftgaugeError
        If the store raised OSError.
    """
    try:
        yield
    except OSError as error:
        raise DriftgaugeError(
            f"the archive {store.where()} failed: {error}. Counting goes on, and what is not "
            f"archived waits in Redis."
        ) from error
