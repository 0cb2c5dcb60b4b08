"""Judging turns panes and alarms into decisions: alerts and snapshots. Pure: entries and state in,
state and outputs out.

Theory of operation: `windows/` sums the latest panes of a version, shared/statistics compares the
sum with the reference, `evaluating/budget` turns the false-alarm budget into significance levels,
`evaluating/` and `rules/` find what is bad, `alerts/lifecycle` moves each alert through its life
and `alerts/inhibition` finds the alert that explains it; `alerts/actions` recommends what to do,
`alerts/notices` writes the transitions of a moment, `snapshotting` takes the snapshots, of which
`reports/` makes the columns' parts, with the numbers of many snapshots at once. `alerting` and
`advance` put these together; only they change the state.

Features that are ordered in time are in `ordered/`: `days` sums up a reference by day, `order`
tests it, `replay_threshold` and `shift` derive thresholds and power from its weeks, and `week`
compares a version's whole days with it.
"""
