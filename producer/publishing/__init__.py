"""Events reach their log exactly once: lanes, sender, ring and spool."""
