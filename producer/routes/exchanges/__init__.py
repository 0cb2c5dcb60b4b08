"""Routes for what other servers and their clients say: CloudEvents, Open Inference."""
