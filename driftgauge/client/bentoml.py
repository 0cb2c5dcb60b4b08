"""BentoML: a monitor of `bentoml.monitor` that logs to Driftgauge. It needs the package bentoml.

The service's own configuration names it:

    @bentoml.service(
        monitoring={
            "enabled": True,
            "type": "driftgauge.client.bentoml.DriftgaugeMonitor",
            "options": {"url": "http://localhost:8000"},
        }
    )

Its calls say as ever what is a feature, and what the prediction:

    with bentoml.monitor("steel") as record:
        record.log(0.02, name="CO2", role="feature", data_type="numerical")
        record.log(41.7, name="usage", role="prediction", data_type="numerical")
"""

from collections.abc import Mapping
from typing import Any, Final

from bentoml.monitoring import MonitorBase

from driftgauge.client.monitor import Monitor

NOT_OURS: Final = frozenset({"log_path", "log_config_file"})
"""Options that BentoML gives every monitor, of its own log files."""


class DriftgaugeMonitor(MonitorBase[Any]):  # type: ignore[misc]  # bentoml is not installed where types are checked
    """Logs each record of a service.

    Columns of the role `feature` are the features, that of `prediction` the prediction, that of
    `target` its true value, and that of `id` its id; others are left out.

    Parameters
    ----------
    name
        Name of the monitor in the service.
    url, options
        As of `driftgauge.client.Monitor`; `model` is the name by itself.
    """

    def __init__(self, name: str, url: str, model: str | None = None, **options: Any) -> None:
        super().__init__(name)
        own = {name: value for name, value in options.items() if name not in NOT_OURS}
        self.monitor = Monitor(url, model or name, **own)

    def export_schema(self, columns_schema: Mapping[str, Mapping[str, str]]) -> None:
        """Do nothing: Driftgauge has the schema of the registered version."""

    def export_data(self, datas: Mapping[str, Any]) -> None:
        """Log the rows of a record, one after the other."""
        schema: Mapping[str, Mapping[str, str]] = self.columns_schema or {}
        roles = {name: schema.get(name, {}).get("role", "") for name in datas}
        for row in zip(*datas.values(), strict=True):
            values = dict(zip(datas, row, strict=True))
            beside = {roles[name]: value for name, value in values.items()}
            features = {name: value for name, value in values.items() if roles[name] == "feature"}
            made = self.monitor.log(features, beside.get("prediction"), id=beside.get("id"))
            if beside.get("target") is not None:
                self.monitor.label(made, beside["target"])
