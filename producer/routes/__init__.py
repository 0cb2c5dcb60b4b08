"""The routes, one file per subject; each makes a router of the parts that it needs."""
