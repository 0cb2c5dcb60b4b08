"""What runs Driftgauge beside other services: boards and rules."""
