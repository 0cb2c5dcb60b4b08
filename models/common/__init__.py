"""Code that all demo models share: training, simulation, perturbations, trees."""
