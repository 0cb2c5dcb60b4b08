"""Access control: keys, scopes, limits, origins and browser sessions."""
