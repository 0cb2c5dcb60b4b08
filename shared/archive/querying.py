"""SQL over an archive, by DuckDB (extra `query`): it reads what the manifests name, and nothing
else.

The views are scanned through Arrow by our own reader of the store. DuckDB itself may open no file
and no address, load no extension and see none of our variables, and that cannot be switched on
again.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO, Final
from weakref import WeakSet

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pa_fs

from driftgauge.shared.archive.columns import (
    CELLS,
    HISTOGRAMS,
    INCIDENTS,
    OWN,
    REFUSED,
    label_columns,
)
from driftgauge.shared.archive.manifest import KINDS, Kind
from driftgauge.shared.archive.scan import BATCH_ROWS, Range, Told, files, read_file, skipped
from driftgauge.shared.archive.store import FolderStore, Store
from driftgauge.shared.archive.writing import cells_folder
from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs

LATEST: Final = """
CREATE VIEW incidents AS SELECT * FROM transitions
QUALIFY row_number() OVER (PARTITION BY id ORDER BY number DESC, entry_time DESC) = 1
"""
PANES: Final = """
CREATE VIEW panes AS
SELECT h.* EXCLUDE (counts), c.* EXCLUDE (version, reference, feature, cell) FROM (
    FROM (
        SELECT *, unnest(counts) AS count, generate_subscripts(counts, 1) - 1 AS cell
        FROM histograms
    ) WHERE count > 0
) h LEFT JOIN cells c USING (version, reference, feature, cell)
"""
VIEWS: Final[dict[Kind, str]] = {"incidents": "transitions", "panes": "histograms"}
"""Names of views that are not those of their kinds of rows."""
JOINED: Final = """
CREATE VIEW joined AS SELECT p.*, l.label, l.time AS label_time FROM predictions p LEFT JOIN (
    SELECT id, label, time FROM labels
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY entry_time DESC, entry_number DESC) = 1
) l USING (id)
"""
EMPTY: Final[dict[Kind, Any]] = {
    "predictions": pa.schema(OWN),
    "labels": label_columns(numbers=False),
    "refused": REFUSED,
    "incidents": INCIDENTS,
    "panes": HISTOGRAMS,
}
"""Columns of a view without files."""
LOOK_S: Final = 0.1
"""Pause (s) between looks whether somebody wants a query to end."""
RELEASE_S: Final = 5.0
"""Longest time (s) that Arrow's threads are waited for when a query is closed."""


class Query:
    """One connection with the views of a range: one of each kind of row, `joined` (predictions
    with their last label), `incidents` (the last of the `transitions` of each) and `panes` (the
    cells of `histograms` that have rows).

    Parameters
    ----------
    told
        Function that is told of each file that cannot be read; it is left out.
    memory_mb
        Most memory of a query, in MB; it fails beyond.
    seconds
        Longest time of a query.

    Raises
    ------
    NotInstalled
        If DuckDB is absent.
    """

    def __init__(
        self, store: Store, wanted: Range, told: Told, *, memory_mb: int, seconds: float
    ) -> None:
        with needs("query"):
            import duckdb
        self._errors: Any = duckdb.Error
        self._seconds = seconds
        self._base = duckdb.connect()
        self._base.execute("SET python_enable_replacements = false")
        self._base.execute(f"SET memory_limit = '{memory_mb}MB'")
        self._base.execute("SET temp_directory = ''")
        # a view's size is unknown: it would be taken for one row, and kept in memory to be joined
        self._base.execute("SET disabled_optimizers = 'build_side_probe_side'")
        self._results: list[Generator[Any, None, None]] = []
        self._files = _Files(store)
        system = self._files.system()
        for kind in KINDS:
            self._make_view(system, store, kind, wanted, told)
        self._register_cells(store, wanted.model, told)
        for view in (JOINED, LATEST, PANES):
            self._base.execute(view)
        for line in (
            "SET TimeZone = 'UTC'",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            self._base.execute(line)

    def close(self) -> None:
        """End it with all its results, and wait until Arrow's threads have let go of the files: one
        that still holds a file of Python's when the process ends aborts it.
        """
        for result in self._results:
            result.close()
        self._base.close()
        self._files.wait()

    def _make_view(self, system: Any, store: Store, kind: Kind, wanted: Range, told: Told) -> None:
        """Make a view of all versions: DuckDB finds the types that suit them all."""
        versions: dict[str, list[Any]] = defaultdict(list)
        for path, file in files(store, kind, wanted, told):
            fragment = ds.ParquetFileFormat().make_fragment(path, system)
            with skipped(store, path, told):
                fragment.ensure_complete_metadata()
                versions[file.version].append(fragment)
        found = [_dataset(fragments, system) for fragments in versions.values()]
        parts = []
        for place, part in enumerate(found or [EMPTY[kind].empty_table()]):
            name = f"{kind}_{place}"
            self._base.register(name, part)
            parts.append(f"SELECT * FROM {name}")  # noqa: S608  a name of ours
        rows = " UNION ALL BY NAME ".join(parts)
        text = f"SELECT *, CAST(time AS DATE) AS date FROM ({rows})"  # noqa: S608  names of ours
        since, until = wanted.since, wanted.until
        bounds = [f"time >= make_timestamptz({since * 1000})"] if since is not None else []
        bounds += [f"time < make_timestamptz({until * 1000})"] if until is not None else []
        text += f" WHERE {' AND '.join(bounds)}" if bounds and kind != "labels" else ""
        self._base.execute(f"CREATE VIEW {VIEWS.get(kind, kind)} AS {text}")

    def _register_cells(self, store: Store, model: str, told: Told) -> None:
        """Make a view of what the cells of the references are."""
        tables = [CELLS.empty_table()]
        for path in store.find(cells_folder(model)):
            if not path.endswith(".parquet"):  # a process was killed while it wrote
                continue
            try:
                tables.append(read_file(store, path))
            except (pa.ArrowException, FileNotFoundError) as error:
                told(f"{store.where(path)} is damaged or gone, and skipped: {error}")
        self._base.register("cells", pa.concat_tables(tables))

    def run(self, sql: str) -> Iterator[Any]:
        """Yield the record batches of a query's result; none of a statement without one.

        Ctrl-C ends it.

        Raises
        ------
        BadData
            If it cannot be run, takes too long or needs too much memory; the message says why.
        """
        result = self._run(sql)
        self._results.append(result)
        return result

    def _run(self, sql: str) -> Generator[Any, None, None]:
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._base.interrupt()

        timer = threading.Timer(self._seconds, stop)
        timer.start()
        try:
            reader = self._in_thread(lambda: self._reader(sql))
            while batch := self._in_thread(lambda: next(reader, None)):
                yield batch
        except (self._errors, pa.ArrowException) as error:
            if late.is_set():
                raise BadData(
                    f"The query took longer than {self._seconds:g} s; see --timeout."
                ) from error
            raise BadData(f"The query cannot be run: {error}") from error
        finally:
            timer.cancel()
            reader = None  # the error may live longer

    def _reader(self, sql: str) -> Iterator[Any]:
        found = self._base.sql(sql)
        return iter(()) if found is None else iter(found.to_arrow_reader(BATCH_ROWS))

    def _in_thread(self, work: Any) -> Any:
        """Do work in a thread, so that Ctrl-C reaches this one meanwhile."""
        found: list[Any] = []
        failed: list[BaseException] = []
        done = threading.Event()  # after Ctrl-C in its `join` a thread is taken for ended

        def do() -> None:
            try:
                found.append(work())
            except BaseException as error:  # noqa: BLE001  it is raised where it was asked for
                failed.append(error)
            finally:
                done.set()

        thread = threading.Thread(target=do, name="query", daemon=True)
        try:
            thread.start()
            while not done.wait(LOOK_S):
                pass
        except KeyboardInterrupt:
            self._base.interrupt()
            while not done.wait(LOOK_S) and thread.is_alive():
                self._base.interrupt()  # it may not have begun yet when it was interrupted
            raise
        if failed:
            raise failed[0]
        return found[0]


def _dataset(fragments: list[Any], system: Any) -> Any:
    """Return files of one version as a data set that can be scanned again and again."""
    schema = fragments[0].physical_schema
    return ds.FileSystemDataset(fragments, schema, ds.ParquetFileFormat(), system)


class _Files(pa_fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """A store as a file system of Arrow's that opens files to read, and can do nothing else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: WeakSet[BinaryIO] = WeakSet()

    def system(self) -> Any:
        """Return it for Arrow, which reads a folder itself."""
        if isinstance(self._store, FolderStore):
            return pa_fs.SubTreeFileSystem(self._store.where(), pa_fs.LocalFileSystem())
        return pa_fs.PyFileSystem(self)

    def wait(self) -> None:
        """Wait until no opened file is left, but not for ever."""
        end = time.monotonic() + RELEASE_S
        while len(self._opened) and time.monotonic() < end:
            time.sleep(0.01)

    def get_type_name(self) -> str:
        return "archive"

    def open_input_file(self, path: str) -> Any:
        file = self._store.open(path)
        self._opened.add(file)
        return pa.PythonFile(file, mode="r")

    def open_input_stream(self, path: str) -> Any:
        return self.open_input_file(path)

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[Any]:
        return [pa_fs.FileInfo(path, pa_fs.FileType.File) for path in paths]

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise PermissionError("an archive is only read here")

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = _refuse
    delete_root_dir_contents = delete_file = move = copy_file = _refuse
    open_output_stream = open_append_stream = _refuse
