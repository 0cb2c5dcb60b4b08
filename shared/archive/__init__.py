"""The archive: every counted prediction and label as Parquet, in a folder or in object storage."""
