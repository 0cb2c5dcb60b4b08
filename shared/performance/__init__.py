"""How right a model is: sums over joined rows that add over panes, and the metrics that follow from them. Pure.

`exact` sums floats without rounding, `layout` says what is summed for a version, `sums` sums rows.
"""

from shared.performance.layout import Layout
from shared.performance.sums import Sums

__all__ = ["Layout", "Sums"]
