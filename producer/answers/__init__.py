"""What the API answers, as types, where they are not beside their one route."""
