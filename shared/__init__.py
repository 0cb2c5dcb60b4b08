"""What producer and consumer share: contracts, references, the registry, settings, connections."""
