"""Where the project and the real data files lie."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
"""The folder of the real data files, beside the project; it may be absent."""
