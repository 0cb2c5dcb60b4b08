"""The column of a progress bar that tells rows a second."""

from rich.progress import ProgressColumn, Task
from rich.text import Text


class RateColumn(ProgressColumn):
    """Rows a second; empty until it is known.

    Parameters
    ----------
    field
        Field of the task that counts the rows, if its steps are no rows.
    """

    def __init__(self, field: str = "") -> None:
        super().__init__()
        self._field = field

    def render(self, task: Task) -> Text:
        """Return the text."""
        if not self._field:
            return Text(f"{task.speed:,.0f} rows a second" if task.speed else "")
        rows, seconds = task.fields.get(self._field, 0), task.elapsed
        return Text(f"{rows / seconds:,.0f} rows a second" if rows and seconds else "")
