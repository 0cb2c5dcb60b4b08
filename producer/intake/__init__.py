"""What came in becomes rows: JSON, CSV and labels, with every fault named."""
