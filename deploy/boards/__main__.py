"""Writes the boards as the files that Grafana reads: `python -m deploy.boards`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.boards import fleet
from deploy.boards.model import whole as model
from deploy.boards.pipeline import whole as pipeline

FOLDER: Final = Path(__file__).parents[1] / "grafana" / "dashboards"
BOARDS: Final = (fleet.BOARD, model.BOARD, pipeline.BOARD)


def files() -> Mapping[str, str]:
    """Return the text of each board's file by its name."""
    return {
        f"{board.name}.json": json.dumps(board.written(), indent=1, ensure_ascii=False) + "\n"
        for board in BOARDS
    }


def main(folder: Path = FOLDER) -> None:
    """Write the files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text)
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main()
