"""Reading users' tables from files."""
