// Charts come in the next change.
