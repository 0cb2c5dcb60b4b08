"""Reading a CSV file, with errors that say what to do."""

from pathlib import Path

import pandas as pd

from shared.errors import BadData


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file with a header.

    Raises
    ------
    BadData
        If there is no such file, it is no CSV, is empty, or names a column twice.
    """
    try:
        frame = pd.read_csv(path)
        header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
    except FileNotFoundError:
        raise BadData(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadData(f"{path} cannot be read as CSV: {error}.") from error
    twice = sorted(set(header[header.duplicated()]))
    if twice:
        raise BadData(f"{path} names these columns more than once: {', '.join(twice)}.")
    if frame.empty:
        raise BadData(f"{path} has a header but no rows.")
    return frame


def event_times(column: pd.Series) -> list[int]:
    """Give the times of a column as Unix ms; a time without zone is UTC.

    Examples
    --------
    >>> event_times(pd.Series(["2018-01-01", "2018-01-01T00:00:01+00:00"]))
    [1514764800000, 1514764801000]
    """
    try:
        times = pd.to_datetime(column, utc=True, format="mixed")
    except (ValueError, TypeError) as error:
        raise BadData(f"Column {column.name!r} has values that are no times: {error}.") from error
    if times.isna().any():
        raise BadData(f"Column {column.name!r} has {int(times.isna().sum())} rows without a time.")
    stamps: list[int] = times.to_numpy(dtype="datetime64[ms]").astype("int64").tolist()
    return stamps
