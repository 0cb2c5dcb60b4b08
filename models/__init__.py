"""The demo models, a folder each, and the demo that shows one of them drift."""
