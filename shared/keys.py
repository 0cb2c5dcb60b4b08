"""The names of everything stored in Redis (DESIGN.md, section 3).

All keys of one partition, and all keys of one model's judging, share a hash tag, so that one transaction covers them on
Redis Cluster too.
"""

import re
from dataclasses import dataclass

MODEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix.

    Examples
    --------
    >>> keys = Keys("dg")
    >>> keys.log("steel", 0), keys.alerts("steel")
    ('dg:{steel.0}:log', 'dg:{steel}:alerts')
    """

    prefix: str = "dg"

    @property
    def models(self) -> str:
        return f"{self.prefix}:models"

    def _model(self, model: str, name: str) -> str:
        return f"{self.prefix}:{{{model}}}:{name}"

    def _partition(self, model: str, partition: int, name: str) -> str:
        return f"{self.prefix}:{{{model}.{partition}}}:{name}"

    def versions(self, model: str) -> str:
        return self._model(model, "versions")

    def judge(self, model: str) -> str:
        return self._model(model, "judge")

    def judge_owner(self, model: str) -> str:
        return self._model(model, "owner")

    def judge_epoch(self, model: str) -> str:
        return self._model(model, "epoch")

    def current(self, model: str) -> str:
        return self._model(model, "current")

    def alerts(self, model: str) -> str:
        return self._model(model, "alerts")

    def snapshots(self, model: str) -> str:
        return self._model(model, "snapshots")

    def log(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "log")

    def count(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "count")

    def panes(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "panes")

    def owner(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "owner")

    def epoch(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "epoch")

    def dead(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "dead")

    def ids(self, model: str, partition: int, hour: int) -> str:
        return self._partition(model, partition, f"ids:{hour}")
