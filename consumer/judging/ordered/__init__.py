"""Features that are ordered in time are judged on whole days and weeks. Pure."""
