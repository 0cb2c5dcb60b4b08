"""The registry of model versions on disk: folders, stages, gates, references and publication."""
