"""Who may do what: keys, scopes, limits, origins and browser sessions."""
