"""How costs grow: with models, events, columns and processes."""
