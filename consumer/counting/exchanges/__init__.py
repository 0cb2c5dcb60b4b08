"""Requests and responses that are logged apart meet here, and become predictions."""
