"""What a prediction that is explained costs, beside a plain one of the same model.

    python -m benchmarks.live.explaining [--calls N] [--trees T]

Models of 18 features are fitted, and asked as the API asks them: through its scorer, in its
threads, one row at a time. `plain` and `explained` are the median time from the question to the
answer, of calls in turns. `plain meanwhile` is that of a plain prediction of the same model while
another client asks for explanations one after another: what those who ask for none pay for them.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, Final

import click
import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.results import ResultRow, write
from driftgauge.producer.scoring.estimator import Estimator
from driftgauge.producer.scoring.explaining import Explaining
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.producer.scoring.serving import ServedVersion
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest

FEATURES: Final = 18
ROWS: Final = 4000
BLOCK_ROWS: Final = 256
TIMEOUT_S: Final = 60.0
RANDOM: Final = np.random.default_rng(0)
SCHEMA: Final = Schema(tuple(Feature(f"x{place}", "numeric") for place in range(FEATURES)))
FRAME: Final = pd.DataFrame(RANDOM.normal(size=(ROWS, FEATURES)), columns=[*SCHEMA.names])
TARGET: Final = FRAME.x0 * FRAME.x1 + FRAME.sum(axis=1) + RANDOM.normal(size=ROWS)

Ask = Callable[[list[Any]], Awaitable[object]]


def models(trees: int) -> dict[str, Any]:
    """Return the fitted models by the words for them."""
    rows = FRAME.to_numpy()
    found = {
        f"LightGBM, {trees} trees": LGBMRegressor(n_estimators=trees, n_jobs=1, verbose=-1),
        "scaled linear": make_pipeline(StandardScaler(), Ridge()),
        f"forest of {trees} trees, estimated": ExtraTreesRegressor(trees, max_depth=8, n_jobs=1),
    }
    if find_spec("xgboost"):
        import xgboost

        found[f"XGBoost, {trees} trees"] = xgboost.XGBRegressor(n_estimators=trees, nthread=1)
    if find_spec("catboost"):
        import catboost

        found[f"CatBoost, {trees} trees"] = catboost.CatBoostRegressor(
            iterations=trees, thread_count=1, verbose=False, allow_writing_files=False
        )
    return {words: model.fit(rows, TARGET) for words, model in found.items()}


async def timed(ask: Ask, row: list[Any]) -> float:
    """Return the time of one answer, in ms."""
    begun = time.perf_counter()
    await ask(row)
    return 1000 * (time.perf_counter() - begun)


async def measured(fitted: Any, calls: int) -> dict[str, float]:
    """Measure one model, in ms."""
    reference = build_profile(SCHEMA, columns_of(FRAME, SCHEMA), None)
    manifest = new_manifest("m", "1.0.0", "regression")
    published = PublishedVersion(manifest, SCHEMA, reference)
    served = ServedVersion(published, b"", Estimator(SCHEMA, fitted))
    scorer = Scorer(BLOCK_ROWS, TIMEOUT_S)
    explaining = Explaining(scorer)
    rows = FRAME.head(calls).to_numpy().tolist()

    def plain(row: list[Any]) -> Awaitable[object]:
        return scorer.score(served, row)

    def explained(row: list[Any]) -> Awaitable[object]:
        return explaining.explain(served, row, estimate=True)

    for ask in (plain, explained):
        await ask(rows[0])
    times = [(await timed(plain, row), await timed(explained, row)) for row in rows]
    over = asyncio.Event()

    async def go_on() -> None:
        while not over.is_set():
            await explained(rows[0])

    other = asyncio.create_task(go_on())
    meanwhile = [await timed(plain, row) for row in rows]
    over.set()
    await other
    scorer.close()
    one, two = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "plain ms": round(one, 3),
        "explained ms": round(two, 3),
        "times plain": round(two / one, 1),
        "plain meanwhile ms": round(statistics.median(meanwhile), 3),
    }


SMOKE = ("--calls", "3", "--trees", "10")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--calls", default=200, show_default=True, help="Rows that are asked for.")
@click.option("--trees", default=200, show_default=True, help="Trees of each model.")
def main(calls: int, trees: int) -> None:
    """Measure explained predictions beside plain ones."""
    rows: list[ResultRow] = [
        {"model": words} | asyncio.run(measured(fitted, calls))
        for words, fitted in models(trees).items()
    ]
    write("explaining", f"{FEATURES} features, one row at a time", rows)


if __name__ == "__main__":
    main()
