"""Decoding of clients' requests, JSON or CSV, into rows and labels, with every fault named."""
