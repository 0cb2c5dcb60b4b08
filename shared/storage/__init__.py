"""Where a registry keeps its files: a folder, or object storage; what both can do alike."""
