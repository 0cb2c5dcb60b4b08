"""What waits in Redis beside a checkpoint: read for a batch, written in the commit."""
