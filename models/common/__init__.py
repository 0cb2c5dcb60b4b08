"""What the demo models share: training, simulation, trees."""
