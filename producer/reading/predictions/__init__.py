"""The predictions of a model, newest first: those of its log, then those of the archive."""
