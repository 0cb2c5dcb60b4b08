"""The data that processes exchange: events, keys, panes, alerts, snapshots, commands."""
