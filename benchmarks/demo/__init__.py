"""The demo, seen from outside: how soon it alerts, and what its pages look like."""
