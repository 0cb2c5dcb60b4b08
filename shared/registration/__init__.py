"""A new version that comes from elsewhere: from another machine, or from another registry."""
