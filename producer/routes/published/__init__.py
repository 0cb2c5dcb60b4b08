"""What the API publishes of its messages: their forms, and where they are."""
