"""An existing batch job: the predictions of a table, and later their true values.

python batch_job.py flats.csv
"""

import os
import sys

import pandas as pd

from driftgauge.client import Monitor

flats = pd.read_csv(sys.argv[1])
flats["predicted"] = 3000 * flats.area_m2 + 5000 * flats.rooms

with Monitor(os.environ.get("DRIFTGAUGE_URL", "http://127.0.0.1:8000"), "flats") as monitor:
    ids = monitor.log_frame(
        flats, "predicted", id="key", features=["area_m2", "rooms"], progress=True
    )
    monitor.label_frame(flats, "key", "price")
    print(len(ids), "predictions;", monitor.stats["sent"], "sent")
