"""Registration of a model that is only monitored, from a CSV of reference rows."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pandas as pd

from shared.errors import BadData
from shared.model_registry import ModelRegistry, PublishedVersion, check_name, new_manifest
from shared.reference import ReferenceProfile
from shared.schema import Schema, as_column, columns_of, infer
from shared.tables import read_table


def register_monitored(
    registry: ModelRegistry, name: str, reference: Path, *, version: str | None = None, prediction: str | None = None,
    target: str | None = None, time: str | None = None, exclude: Sequence[str] = (), schema_file: Path | None = None,
    partitions: int = 1, pii_key: str | None = None,
) -> tuple[Path, PublishedVersion]:  # fmt: skip
    """Register a monitored model.

    Parameters
    ----------
    reference
        CSV with a header.
    prediction, target, time
        Columns that are no features; all must exist.
    exclude
        Features that are left out of drift.
    schema_file
        Schema to use instead of the inferred one; written if it does not exist.
    partitions
        Of a new model; a later version has those of the first.
    pii_key
        Key of the hashes of personal features, if the schema has any.

    Returns
    -------
    folder, published
        Where the version is stored, and what was stored.

    Raises
    ------
    BadData
        If a file, column, name or version cannot be used; then nothing was stored.
    """
    version = version or registry.next_version(name)
    check_name(name, version)
    frame = read_table(reference)
    special = [column for column in (prediction, target, time) if column is not None]
    absent = [column for column in special if column not in frame.columns]
    if absent:
        raise BadData(f"{reference} has no column {', '.join(absent)}; it has: {', '.join(map(str, frame.columns))}.")
    features = frame.drop(columns=special)
    predicted = frame[prediction] if prediction is not None else None
    schema = _schema(features, predicted, target or "", exclude, schema_file)
    column = as_column(predicted, schema.prediction) if predicted is not None and schema.prediction else None
    published = PublishedVersion(
        manifest=new_manifest(name, version, "monitor", partitions=partitions),
        schema=schema,
        reference=ReferenceProfile.build(schema, columns_of(features, schema, pii_key), column),
    )
    return registry.register(published), published


def _schema(
    features: pd.DataFrame, predicted: pd.Series | None, target: str, exclude: Sequence[str], schema_file: Path | None
) -> Schema:
    """Read the schema from its file, or infer it and write the file if one was named."""
    if schema_file is not None and schema_file.exists():
        try:
            return msgspec.json.decode(schema_file.read_bytes(), type=Schema)
        except msgspec.MsgspecError as error:
            raise BadData(f"{schema_file} is no schema: {error}.") from error
    reasons = dict.fromkeys(exclude, "excluded at registration")
    schema = infer(features, reasons, predicted, target, nullable=True)
    if schema_file is not None:
        schema_file.write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2))
    return schema
