"""Users' tables: how their cells are written, and reading them from files."""
