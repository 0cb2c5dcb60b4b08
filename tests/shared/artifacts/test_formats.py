"""The formats of fitted models: each is registered from the file that its library writes, and
predicts what the library predicts.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.producer.scoring.estimator import Estimator
from driftgauge.shared.artifacts import format_named, format_of, formats
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.registry import trial
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.prediction import predict, probabilities

RANDOM = np.random.default_rng(4)
FRAME = pd.DataFrame(RANDOM.normal(size=(300, 3)).round(3), columns=["b", "a", "c"])
FRAME["city"] = RANDOM.choice(["rome", "oslo", "bonn"], 300)
FRAME["price"] = FRAME.a * 2 - FRAME.b + (FRAME.city == "rome")
FRAME["sold"] = (FRAME.price > 0).astype(int)
FRAME["kind"] = np.where(FRAME.price > 1, "high", np.where(FRAME.price < -1, "low", "mid"))
FRAME["count"] = np.exp(FRAME.price / 2).round()
NUMBERS = ["a", "b", "c"]


class Made(NamedTuple):
    """A file, what its library predicts, and what a registration needs besides."""

    file: str
    content: bytes
    predictions: Any
    shares: Any = None
    target: str = "price"
    classes: tuple[str, ...] = ()
    columns: list[str] = NUMBERS


def library(name: str) -> Any:
    """Import a library; without it the test is skipped, but never in CI."""
    if os.environ.get("CI"):
        return __import__(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[test]'")


def of_joblib(folder: Path) -> Made:
    fitted = LinearRegression().fit(FRAME[NUMBERS], FRAME.price)
    joblib.dump(fitted, folder / "m.joblib")
    content = (folder / "m.joblib").read_bytes()
    return Made("m.joblib", content, fitted.predict(FRAME[NUMBERS]))


def of_lightgbm(_: Path) -> Made:
    fitted = LGBMClassifier(n_estimators=5, verbose=-1).fit(FRAME[NUMBERS], FRAME.kind)
    text = fitted.booster_.model_to_string().encode()
    shares = fitted.predict_proba(FRAME[NUMBERS])
    classes = ("high", "low", "mid")
    return Made("m.txt", text, fitted.predict(FRAME[NUMBERS]), shares, "kind", classes)


def of_xgboost(folder: Path) -> Made:
    xgboost = library("xgboost")
    fitted = xgboost.XGBRegressor(n_estimators=20, early_stopping_rounds=1, nthread=1)
    held_out = [(FRAME[NUMBERS].head(20), RANDOM.normal(size=20))]
    fitted.fit(FRAME[NUMBERS], FRAME.price, eval_set=held_out, verbose=False)
    fitted.save_model(folder / "m.json")
    content = (folder / "m.json").read_bytes()
    return Made("m.json", content, fitted.predict(FRAME[NUMBERS]))


def of_xgboost_classes(folder: Path) -> Made:
    xgboost = library("xgboost")
    fitted = xgboost.XGBClassifier(n_estimators=5, nthread=1).fit(FRAME[NUMBERS], FRAME.sold)
    fitted.save_model(folder / "m.ubj")
    content, shares = (folder / "m.ubj").read_bytes(), fitted.predict_proba(FRAME[NUMBERS])
    named = np.where(fitted.predict(FRAME[NUMBERS]) == 1, "yes", "no")
    return Made("m.ubj", content, named, shares, "sold", ("no", "yes"))


def of_catboost(folder: Path) -> Made:
    catboost = library("catboost")
    columns = [*NUMBERS, "city"]
    fitted = catboost.CatBoostClassifier(
        iterations=5, cat_features=["city"], verbose=False, thread_count=1, train_dir=str(folder)
    )
    fitted.fit(FRAME[columns], FRAME.kind).save_model(str(folder / "m.cbm"))
    content = (folder / "m.cbm").read_bytes()
    made, shares = fitted.predict(FRAME[columns]).ravel(), fitted.predict_proba(FRAME[columns])
    return Made("m.cbm", content, made, shares, "kind", columns=columns)


def of_catboost_counts(folder: Path) -> Made:
    """Trees that add up to a logarithm."""
    catboost = library("catboost")
    fitted = catboost.CatBoostRegressor(
        iterations=5, loss_function="Poisson", verbose=False, thread_count=1, train_dir=str(folder)
    )
    fitted.fit(FRAME[NUMBERS], FRAME["count"]).save_model(str(folder / "m.cbm"))
    content = (folder / "m.cbm").read_bytes()
    return Made("m.cbm", content, fitted.predict(FRAME[NUMBERS]), target="count")


def onnx_of(fitted: Any, types: Any, **options: Any) -> bytes:
    skl2onnx = library("skl2onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries among themselves
        made = skl2onnx.to_onnx(fitted, initial_types=types, target_opset=15, **options)
    return bytes(made.SerializeToString())


def run_onnx(content: bytes, fed: dict[str, Any]) -> list[Any]:
    return list(library("onnxruntime").InferenceSession(content).run(None, fed))


def of_onnx(_: Path) -> Made:
    """A matrix in, a number out."""
    library("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType

    fitted = LinearRegression().fit(FRAME[["b", "a", "c"]].to_numpy(), FRAME.price)
    content = onnx_of(fitted, [("rows", FloatTensorType([None, 3]))])
    (made,) = run_onnx(content, {"rows": FRAME[["b", "a", "c"]].to_numpy(dtype=np.float32)})
    return Made("m.onnx", content, made.ravel(), columns=["b", "a", "c"])


def of_onnx_columns(_: Path) -> Made:
    """A column each in, texts among them; labels and a map of the shares out."""
    library("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    columns = ["a", "city"]
    encoder = OneHotEncoder(handle_unknown="ignore")
    steps = make_column_transformer((encoder, ["city"]), remainder="passthrough")
    fitted = make_pipeline(steps, LogisticRegression()).fit(FRAME[columns], FRAME.kind)
    types = [("a", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1]))]
    content = onnx_of(fitted, types)
    fed = {
        "a": FRAME[["a"]].to_numpy(dtype=np.float32),
        "city": FRAME[["city"]].to_numpy(dtype=object),
    }
    labels, maps = run_onnx(content, fed)
    shares = pd.DataFrame(maps)[["high", "low", "mid"]].to_numpy()
    return Made("m.onnx", content, labels, shares, "kind", columns=columns)


def of_onnx_shares(_: Path) -> Made:
    """Labels as numbers and a matrix of shares, whose classes are not told."""
    library("skl2onnx")
    from skl2onnx.common.data_types import DoubleTensorType

    fitted = LogisticRegression().fit(FRAME[["b", "a", "c"]].to_numpy(), FRAME.sold)
    content = onnx_of(fitted, [("rows", DoubleTensorType([None, 3]))], options={"zipmap": False})
    labels, shares = run_onnx(content, {"rows": FRAME[["b", "a", "c"]].to_numpy()})
    return Made("m.onnx", content, labels.astype(str), shares, "sold", columns=["b", "a", "c"])


MAKERS: list[Callable[[Path], Made]] = [
    of_joblib,
    of_lightgbm,
    of_xgboost,
    of_xgboost_classes,
    of_catboost,
    of_catboost_counts,
    of_onnx,
    of_onnx_columns,
    of_onnx_shares,
]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_file_predicts_as_its_library_does(
    maker: Callable[[Path], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registered from a table, after a trial of its own, and loaded again by its checksum: labels
    are those of the library, numbers and shares to the last digits of a float.
    """
    made, tried = maker(tmp_path), list[trial.Tried]()
    file, table = tmp_path / f"given-{made.file}", tmp_path / "rows.parquet"
    file.write_bytes(made.content)
    FRAME[[*made.columns, made.target]].to_parquet(table)
    monkeypatch.setattr(trial, "attempt", tried.append)
    registry = ModelRegistry(tmp_path / "registry")
    _, version = register_version(
        registry,
        Submission("m", table, artifact=file, target_column=made.target, classes=made.classes),
    )
    manifest, schema = version.manifest, version.schema
    assert [one.name for one in tried] == [format_of(file).file] == [manifest.artifact]
    tasks = {"price": "regression", "count": "regression", "sold": "binary", "kind": "multiclass"}
    assert manifest.task == tasks[made.target]
    assert {*format_of(file).libraries} & {*manifest.libraries}
    fitted = registry.load_artifact("m", "1.0.0")
    columns = columns_of(FRAME, schema)
    found = predict(schema, fitted, columns)
    if made.shares is None:
        np.testing.assert_allclose(np.asarray(found), made.predictions, rtol=1e-6)
    else:
        assert [*found] == [*made.predictions.tolist()]
        np.testing.assert_allclose(probabilities(schema, fitted, columns), made.shares, rtol=1e-6)
    Estimator(schema, fitted).warm_up(version)


def test_the_table_of_formats_is_whole() -> None:
    """Each format has a name and suffixes of its own, and is tested above; a file of none is
    refused with the list, and so is one of another release.
    """
    suffixes = [suffix for one in formats() for suffix in one.suffixes]
    assert len({one.file for one in formats()}) == len(formats()) == 5
    assert len({*suffixes}) == len(suffixes)
    assert [one.file for one in formats() if one.runs_code] == ["model.joblib"]
    with pytest.raises(BadData, match=r"m\.doc is no artifact.*\.onnx: an ONNX graph"):
        format_of(Path("m.doc"))
    with pytest.raises(BadData, match="another release"):
        format_named("model.new")


@pytest.mark.parametrize("name", ["model.ubj", "model.cbm", "model.onnx", "model.txt"])
def test_what_is_no_model_is_said(name: str) -> None:
    """Bytes that are none raise one error that says so."""
    module = {"model.ubj": "xgboost", "model.cbm": "catboost", "model.onnx": "onnxruntime"}
    if name in module:
        library(module[name])
    for content in (b"", b"no model"):
        with pytest.raises(BadData, match=r"The file is no .* model"):
            format_named(name).load(content, "monitor", ())
