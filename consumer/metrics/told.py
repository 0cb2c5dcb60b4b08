"""How a process of a worker stands, as it tells another one: plain values."""

import msgspec


class Told(msgspec.Struct, frozen=True):
    """How the process that judges stands.

    Parameters
    ----------
    samples
        Lines of its stages' metrics, by the names of the metrics.
    usage
        What it uses of the machine, by metric.
    models
        Number of models that it knows.
    redis_up
        Whether Redis answers it.
    lives
        Whether its main thread goes round.
    hindrances, failing
        Why it cannot work at all, and which of its stages fail again and again.
    """

    samples: dict[str, list[str]]
    usage: dict[str, float]
    models: int
    redis_up: bool
    lives: bool
    hindrances: list[str]
    failing: list[str]
