"""Labels find their predictions, also when they come late or change. Pure."""
