"""An existing LitServe service that logs to Driftgauge: by a callback.

python litserve_service.py
"""

import os

import litserve

from driftgauge.client.litserve import DriftgaugeCallback


class Flats(litserve.LitAPI):
    """Tells the price of a flat."""

    def setup(self, device: str) -> None:
        self.per_m2, self.per_room = 3000, 5000

    def decode_request(self, request: dict[str, float]) -> dict[str, float]:
        return request

    def predict(self, flat: dict[str, float]) -> float:
        return self.per_m2 * flat["area_m2"] + self.per_room * flat["rooms"]

    def encode_response(self, output: float) -> dict[str, float]:
        return {"price": output}


if __name__ == "__main__":
    url = os.environ.get("DRIFTGAUGE_URL", "http://127.0.0.1:8000")
    callback = DriftgaugeCallback(url, "flats")  # the one line that tells Driftgauge
    server = litserve.LitServer(Flats(), accelerator="cpu", callbacks=[callback])
    server.run(port=int(os.environ.get("PORT", "8001")), generate_client_file=False)
