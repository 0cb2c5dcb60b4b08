"""What a route tells next: whom an incident concerns, when, after what, and how often. Pure."""
