"""An existing Flask service behind gunicorn: made before the fork, the monitor works in each.

gunicorn --preload --workers 2 flask_service:app
"""

import os

from flask import Flask, request

from driftgauge.client import Monitor

app = Flask(__name__)
monitor = Monitor(
    os.environ.get("DRIFTGAUGE_URL", "http://127.0.0.1:8000"), "flats", spool="flats.spool"
)


@monitor.watch
def price(flat: dict[str, float]) -> float:
    return 3000 * flat["area_m2"] + 5000 * flat["rooms"]


@app.post("/price")
def priced() -> dict[str, float]:
    return {"price": price(request.get_json())}
