"""What clients send becomes rows and labels, from JSON or CSV, with every fault named."""
