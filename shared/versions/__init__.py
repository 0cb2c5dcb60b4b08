"""A model version: its manifest, number, stages and checks, and how it is scored. Pure."""
