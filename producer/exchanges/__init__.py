"""What other servers log: CloudEvents, and the halves of predictions in them."""
