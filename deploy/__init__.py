"""What runs Driftgauge beside other services: Kubernetes's resources, boards and rules."""
