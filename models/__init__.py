"""Demo models, a folder each, and the commands that show one of them drift on this machine."""
