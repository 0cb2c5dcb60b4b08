"""The policy file in a worker."""
