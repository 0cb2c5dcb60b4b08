"""Every shape that crosses a process: events, keys, panes, alerts, snapshots, commands."""
