"""When the events of a model came, within its last day of traffic, from the panes."""
