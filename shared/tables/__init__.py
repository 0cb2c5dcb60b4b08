"""Tables of users are read from files."""
