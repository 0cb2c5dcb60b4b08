"""What labels say of a window: the metrics, past days, and the drift of the labels. Pure."""
