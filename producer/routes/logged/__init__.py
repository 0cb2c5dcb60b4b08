"""Routes of what was predicted elsewhere: events, their halves, labels, and who numbers them."""
