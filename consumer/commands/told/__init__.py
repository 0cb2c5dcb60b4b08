"""Commands that tell what judging found: alerts and incidents."""
