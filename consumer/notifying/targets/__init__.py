"""The targets, a file each: what sends a message to one kind of receiver."""
