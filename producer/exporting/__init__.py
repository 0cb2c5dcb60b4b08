"""Downloads of the archive: what `driftgauge export` writes, from a process of its own."""
