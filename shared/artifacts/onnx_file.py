"""ONNX files: a graph from rows to predictions, from any library that exports it.

The graph has one input, a matrix of the features in the schema's order, or one input for each
feature, by its name. Its outputs are a number a row; or a share for each class, with or without the
label; or, as of scikit-learn, labels and a map of the shares. A file names its classes only in such
a map.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.artifacts.format import ArtifactFormat
from driftgauge.shared.artifacts.native_model import NativeModel
from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs
from driftgauge.shared.reference.frames import category_text
from driftgauge.shared.versions.manifest import Task

TYPES: Final[dict[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
"""Types of inputs and outputs that are used."""
NUMBERS: Final = ("tensor(float)", "tensor(double)")
PROVIDERS: Final = ("CPUExecutionProvider",)


class OnnxModel(NativeModel):
    """A graph that predicts numbers, or shares of classes.

    Raises
    ------
    BadData
        If the bytes are no graph, or it does not go from features to predictions.
    """

    def __init__(self, content: bytes, task: Task, classes: tuple[str, ...] = ()) -> None:
        with needs("onnx"):
            import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is raised
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=PROVIDERS)
        except Exception as error:  # its errors have no common base
            raise BadData(f"The file is no ONNX model that can be run: {_said(error)}.") from error
        self._inputs = self._session.get_inputs()
        outputs = self._session.get_outputs()
        unknown = sorted({one.type for one in self._inputs} - {*TYPES})
        if unknown:
            raise BadData(f"The ONNX model takes {', '.join(unknown)}, which no feature is.")
        maps = [one.name for one in outputs if one.type.startswith("seq(map")]
        numbers = [one.name for one in outputs if one.type in NUMBERS]
        labels = [one.name for one in outputs if one.name not in {*maps, *numbers}]
        if not maps and not numbers:
            raise BadData("The ONNX model gives labels alone; export it with its probabilities.")
        self._output = (maps or numbers)[0]
        self._keys: list[Any] = []
        self._label = labels[0] if labels else ""
        width = self._width()
        first = self._first(width)
        found = tuple(category_text(key) for key in self._keys)
        outputs_a_row = first.shape[1] if first.ndim > 1 else 1
        own: Task = "binary" if outputs_a_row == 2 else "multiclass"
        if outputs_a_row == 1:
            own = "binary" if self._label else "regression"
        if classes and found and classes != found:
            raise BadData(f"The model's own classes are {', '.join(found)}: leave --classes out.")
        names = [one.name for one in self._inputs] if len(self._inputs) > 1 else ()
        super().__init__(
            "ONNX", own if task == "monitor" else task, outputs_a_row, found or classes, names
        )
        self.n_features_in_ = width

    def raw(self, rows: Any) -> NDArray[np.float64]:
        """Run the graph."""
        (found,) = self._session.run([self._output], self._feed(rows))
        if isinstance(found, list):  # a map of each row, from class to share
            self._keys = self._keys or sorted(found[0])
            return np.array([[row[key] for key in self._keys] for row in found], dtype=np.float64)
        shares = np.asarray(found, dtype=np.float64)
        return shares[:, 0] if shares.ndim > 1 and shares.shape[1] == 1 else shares

    def predict(self, rows: Any) -> NDArray[Any]:
        """Predict numbers, or class labels as text: the graph's own, if it gives them."""
        if not self._label or self.task == "regression":
            return super().predict(rows)
        (found,) = self._session.run([self._label], self._feed(rows))
        return np.array([category_text(one) for one in np.ravel(found).tolist()], dtype=object)

    def _width(self) -> int:
        """Return the number of features; 0 if the graph takes any."""
        if len(self._inputs) > 1:
            return len(self._inputs)
        shape = self._inputs[0].shape
        if len(shape) != 2:
            raise BadData(
                f"The ONNX model takes a tensor of the shape {shape}, not rows of features."
            )
        return shape[1] if isinstance(shape[1], int) else 0

    def _first(self, width: int) -> NDArray[np.float64]:
        """Run the graph on a row of zeros and empty texts, to see what comes out."""
        row = np.zeros((1, width or 1))
        try:
            return self.raw(row)
        except Exception as error:
            raise BadData(
                f"The ONNX model cannot predict a row of zeros and empty texts: {_said(error)}. "
                f"Export it with encoders that take what they do not know "
                f"(handle_unknown='ignore'): a request may have it too."
            ) from error

    def _feed(self, rows: Any) -> dict[str, Any]:
        """Return rows as the graph takes them."""
        if len(self._inputs) == 1:
            only = self._inputs[0]
            return {only.name: np.ascontiguousarray(np.asarray(rows), dtype=TYPES[only.type])}
        table = rows if isinstance(rows, np.ndarray) else rows.to_numpy(dtype=object)
        return {
            one.name: _column(table[:, place], one.type).reshape(-1, 1)
            for place, one in enumerate(self._inputs)
        }


def _column(values: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return a feature as a tensor of a type; a missing text is empty."""
    if kind != "tensor(string)":
        return np.asarray(values, dtype=TYPES[kind])
    missing = (value is None or value != value for value in values)  # noqa: PLR0124  NaN
    texts = [
        "" if gone else category_text(value) for value, gone in zip(values, missing, strict=True)
    ]
    return np.array(texts, dtype=object)


def _said(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "it is empty"


FORMAT: Final = ArtifactFormat(
    "model.onnx", (".onnx",), "an ONNX graph", OnnxModel, ("onnxruntime",)
)
