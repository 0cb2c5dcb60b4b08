"""The page of slices: what `driftgauge slice` says, in a process of its own."""
