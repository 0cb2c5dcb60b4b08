"""An existing BentoML service that logs to Driftgauge: only its configuration says so.

bentoml serve bentoml_service:Flats
"""

import os

import bentoml

MONITORING = {
    "enabled": True,
    "type": "driftgauge.client.bentoml.DriftgaugeMonitor",
    "options": {"url": os.environ.get("DRIFTGAUGE_URL", "http://127.0.0.1:8000")},
}


@bentoml.service(monitoring=MONITORING)
class Flats:
    """Tells the price of a flat."""

    @bentoml.api
    def price(self, area_m2: float, rooms: int) -> float:
        predicted = 3000 * area_m2 + 5000 * rooms
        with bentoml.monitor("flats") as record:
            record.log(area_m2, name="area_m2", role="feature", data_type="numerical")
            record.log(rooms, name="rooms", role="feature", data_type="numerical")
            record.log(predicted, name="price", role="prediction", data_type="numerical")
        return predicted
