"""Drift with known truth: traffic and labels that change from one event on, posted to a running
API, and what it found.

The way of a row: source.py draws it, kinds.py says what changes, shapes.py says when and how much,
traffic.py puts both together, posting.py sends it with its label; findings.py compares the alerts
with the truth; report.py and picture.py tell.
"""
