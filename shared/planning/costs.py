"""What an event costs, as `python -m benchmarks.scale.capacity` measured it."""

import msgspec


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cost of one event that grows with its columns: a sum of parts, each at least 0."""

    event: float
    """Whatever the event has."""
    numeric: float = 0.0
    """For each numeric feature."""
    categorical: float = 0.0
    """For each categorical feature."""
    segments: float = 0.0
    """For each feature that defines segments, of 21 parts."""
    label: float = 0.0
    """For the label of the event, if one comes."""

    def of(self, shape: "Shape") -> float:
        """Return the cost of an event.

        >>> Cost(event=2.0, numeric=0.5, label=3.0).of(Shape(numeric=4, labels=0.5))
        5.5
        """
        return (
            self.event
            + self.numeric * shape.numeric
            + self.categorical * shape.categorical
            + self.segments * shape.segments
            + self.label * shape.labels
        )


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an event has: numbers of columns by kind, and the share of events with a label."""

    numeric: int
    categorical: int = 0
    segments: int = 0
    labels: float = 0.0


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All measured costs, with the machine they were measured on.

    Times are µs of one core, sizes bytes.
    """

    machine: str
    api_us: Cost
    """Of an API process, an event that came in a list of 500 by `POST /events`."""
    worker_us: Cost
    """Of a worker: reading, counting, joining, and what grows with them."""
    redis_us: Cost
    """Of Redis, with its append-only file, for both."""
    model_cores: float
    """Share of a worker's core for each partition that has traffic, however little: commits,
    panes, judging, reports.
    """
    log_bytes: Cost
    """Of Redis's memory, an event in the log, with its label's entry."""
    pane_bytes: Cost
    """Of Redis's memory, a pane."""
    waiting_bytes: float
    """Of Redis's memory, a prediction that waits for its label."""
    request_bytes: Cost
    """From client to API."""
    redis_in_bytes: Cost
    """From API and worker to Redis; what its append-only file grows by, too."""
    redis_out_bytes: Cost
    """From Redis to API and worker."""
    api_mb: float
    """Memory of an API process (MB)."""
    worker_mb: float
    """Memory of a worker process with one model (MB)."""
