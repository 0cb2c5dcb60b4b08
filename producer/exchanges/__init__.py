"""What other servers say and log of predictions: tensors, bodies, CloudEvents. Pure."""
