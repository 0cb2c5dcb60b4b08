"""The API: requests in, events out."""
