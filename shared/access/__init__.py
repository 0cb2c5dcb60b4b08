"""Who may ask a process of ours by HTTP: keys, the names that it answers to, where it listens."""
