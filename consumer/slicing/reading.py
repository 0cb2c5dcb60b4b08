"""An archive that is read for slices: one connection for all of a command's queries."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from driftgauge.consumer.offline.archived.sample import Sample
from driftgauge.consumer.slicing.condition import Condition
from driftgauge.consumer.slicing.rows import Columns, columns_of, latest_version, read_side
from driftgauge.shared.archive.querying import Query
from driftgauge.shared.archive.scan import Range, Told
from driftgauge.shared.archive.store import Store


@dataclass(frozen=True)
class Reading:
    """What is read, and within which bounds.

    Parameters
    ----------
    version
        The only version whose rows are read; None for all.
    told
        Function that is told of each file that cannot be read, and of versions that are left out.
    memory_mb, seconds
        Bounds of each query.
    """

    store: Store
    wanted: Range
    version: str | None
    told: Told
    memory_mb: int
    seconds: float

    @contextmanager
    def opened(self, *, latest: bool = False) -> Iterator["Opened"]:
        """Open the archive; `latest` reads the latest version alone where none is named.

        Raises
        ------
        BadData
            If there is no row.
        NotInstalled
            If DuckDB is absent.
        """
        version = self.version
        if latest and version is None:
            version = latest_version(self.store, self.wanted, self.told) or None
        columns = columns_of(self.store, self.wanted, self.told, version)
        query = Query(
            self.store, self.wanted, self.told, memory_mb=self.memory_mb, seconds=self.seconds
        )
        with closing(query):
            yield Opened(query, columns, version)


@dataclass(frozen=True)
class Opened:
    """An archive that can be asked for the rows of slices."""

    query: Query
    columns: Columns
    version: str | None

    @property
    def versions(self) -> str:
        """The versions of the rows, in words."""
        found = self.columns.versions
        return found[0] if len(found) == 1 else f"{len(found)} versions"

    def side(self, condition: Condition | None, *, inside: bool = True) -> Sample:
        """Read the rows that fulfil a condition, or those that do not."""
        return read_side(self.query, self.columns, condition, self.version, inside=inside)
