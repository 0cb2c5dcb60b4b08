"""Existing Celery tasks: made in the module, the monitor works in each of the pool's processes.

celery --app celery_tasks worker
"""

import os

from celery import Celery

from driftgauge.client import Monitor

app = Celery("flats", broker=os.environ.get("BROKER_URL", "redis://127.0.0.1:6379"))
monitor = Monitor(
    os.environ.get("DRIFTGAUGE_URL", "http://127.0.0.1:8000"), "flats", spool="flats.spool"
)


@app.task
@monitor.watch
def price(flat: dict[str, float]) -> float:
    return 3000 * flat["area_m2"] + 5000 * flat["rooms"]
