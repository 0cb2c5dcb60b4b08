"""A model version: its manifest, number, stages and gates, and how it is scored. Pure."""
