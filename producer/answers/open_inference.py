"""The answers of the Open Inference Protocol, version 2, whose names are its own."""

from typing import Any

import msgspec

from driftgauge.producer.http.problems import ProblemDocument
from driftgauge.producer.publishing.receipts import Outcome


class ServerMetadata(msgspec.Struct):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(msgspec.Struct):
    """Whether the process answers."""

    live: bool


class ServerReady(msgspec.Struct):
    """Whether predictions can be made."""

    ready: bool


class ModelReady(msgspec.Struct):
    """Whether a model predicts."""

    name: str
    ready: bool


class TensorMetadata(msgspec.Struct):
    """A tensor of requests or answers.

    Parameters
    ----------
    shape
        Its dimensions; -1 is any number.
    """

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct):
    """The tensors of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(msgspec.Struct, omit_defaults=True):
    """A tensor of an answer.

    Parameters
    ----------
    data
        Its values in row-major order; absent if they follow as bytes.
    parameters
        `binary_data_size` of values that follow as bytes.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class InferenceParameters(msgspec.Struct):
    """What became of the events of an inference: they are in Redis, on disk, in memory, or nowhere
    for want of room.
    """

    event: Outcome


class InferenceAnswer(msgspec.Struct):
    """The predictions of an inference.

    Parameters
    ----------
    id
        Id of the prediction; of several, `ID:0` and so on.
    """

    model_name: str
    model_version: str
    id: str
    parameters: InferenceParameters
    outputs: list[OutputTensor]


class InferenceProblem(ProblemDocument, frozen=True, omit_defaults=True):
    """An error answer, as clients of the protocol read it.

    Parameters
    ----------
    error
        What was wrong; absent if it was found before the request was understood.
    """

    error: str = ""
