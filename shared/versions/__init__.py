"""A model version: its manifest, number, stages and gates, and how rows are predicted. Pure."""
