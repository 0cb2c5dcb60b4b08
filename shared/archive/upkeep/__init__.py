"""Looking after an archive: old days go, and small files become few."""
