"""The boards for Grafana as tables of panels, from which their JSON files are made.

`panels` says what a panel is and how it is written, `fleet`, `model` and `pipeline` hold one board
each.
"""
