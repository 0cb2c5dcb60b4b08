"""Simulated drift with known truth: traffic whose data drift from one event on is posted to a
running API, and the monitor's alerts are compared with the injected drift.

In the order of the data: plan.py says what is asked for, source.py draws rows, injection.py says
how they drift (within.py: in one segment only), shapes.py how the drift grows over time, traffic.py
puts the rows in order, posting.py sends them and their labels. run.py drives all of it; verdict.py
compares the alerts with the truth; report.py, picture.py and terminal.py show the result.
testbed.py runs it against a deployment of its own.
"""
