"""Runs a worker's stages, however many: which is due, on which thread, under which lease."""
