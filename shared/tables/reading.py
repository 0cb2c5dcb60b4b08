"""Reading a CSV file, with errors that name the file and say what to do."""

from pathlib import Path

import pandas as pd

from driftgauge.shared.errors import BadData


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file with a header.

    Raises
    ------
    BadData
        If the file is missing, is no CSV, has no rows, or has two columns of the same name.
    """
    try:
        frame = pd.read_csv(path, low_memory=False)
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
