"""An existing FastAPI service that logs to Driftgauge: three lines tell of it.

uvicorn fastapi_service:app --port 8001
"""

import os

from fastapi import FastAPI
from pydantic import BaseModel

from driftgauge.client import Monitor  # 1

app = FastAPI()
monitor = Monitor(  # 2
    os.environ.get("DRIFTGAUGE_URL", "http://127.0.0.1:8000"), "flats", spool="flats.spool"
)


class Flat(BaseModel):
    area_m2: float
    rooms: int


@monitor.watch  # 3
def price(flat: Flat) -> float:
    return 3000 * flat.area_m2 + 5000 * flat.rooms


@app.post("/price")
def priced(flat: Flat) -> dict[str, float]:
    return {"price": price(flat)}
