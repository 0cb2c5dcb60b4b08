"""How the two processes of a worker stand together, as its port tells it."""

from dataclasses import dataclass
from typing import Final

from driftgauge.consumer.metrics.standing import Standing
from driftgauge.consumer.metrics.table import WORKER
from driftgauge.consumer.metrics.told import Told
from driftgauge.shared.local.usage import PROCESS, USAGE, usage
from driftgauge.shared.metrics.text import Exposition

SILENT: Final = "The process that judges does not answer; the log says whether it ended."


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker of two processes.

    Parameters
    ----------
    counting
        How the process stands that counts, and that has the port.
    judging
        How the other one says that it stands; None if it does not answer.
    """

    counting: Standing
    judging: Told | None

    @property
    def lives(self) -> bool:
        """Whether both go round; one that does not answer is started again when it has ended."""
        return self.counting.lives and (self.judging is None or self.judging.lives)

    @property
    def hindrances(self) -> list[str]:
        """Why one of them cannot work at all; nothing if both can."""
        others = [SILENT] if self.judging is None else self.judging.hindrances
        return list(dict.fromkeys([*self.counting.hindrances, *others]))

    @property
    def failing(self) -> list[str]:
        """What of either fails again and again."""
        return [*self.counting.failing, *(() if self.judging is None else self.judging.failing)]

    def exposed(self) -> Exposition:
        """Return the metrics of both: what they use of the machine added up, but the start and the
        limit of the one that counts.
        """
        own, other, used = self.counting, self.judging, usage()
        text = Exposition({**WORKER, **USAGE})
        own.add_stages(text)
        redis_up, models = not own.fault, own.models
        if other is not None:
            for name, lines in other.samples.items():
                text.extend(name, lines)
            redis_up, models = redis_up and other.redis_up, max(models, other.models)
            used = {
                name: value + (0 if name in PROCESS else other.usage.get(name, 0))
                for name, value in used.items()
            }
        text.add("driftgauge_worker_redis_up", redis_up)
        text.add("driftgauge_worker_models", models)
        for name, value in used.items():
            text.add(name, value)
        return text
