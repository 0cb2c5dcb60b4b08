"""Rows become predictions: served versions, one model call for concurrent requests, batches."""
