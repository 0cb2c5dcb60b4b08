"""The figures of a run, and every promise that was not kept."""

from dataclasses import dataclass, field


@dataclass
class Verdict:
    """The figures of a run, and every promise that was not kept."""

    promised: int = 0
    forgotten: int = 0
    """Promised events that a fault took out of Redis; these must be told."""
    in_log: int = 0
    copies: int = 0
    counted: int = 0
    lost: int = 0
    doubled: int = 0
    alerts_expected: int = 0
    alerts: int = 0
    alerts_twice: int = 0
    dead: int = 0
    broken: list[str] = field(default_factory=list)

    def require(self, kept: object, promise: str) -> None:
        """Note a promise that was not kept."""
        if not kept:
            self.broken.append(promise)
