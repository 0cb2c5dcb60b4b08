"""Registrations over HTTP: an upload in a folder of its own, and the process that registers it."""
