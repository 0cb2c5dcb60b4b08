"""What the rules need of a window, and what they read in it. Pure."""
