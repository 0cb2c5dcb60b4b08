"""Code that producer and consumer share: contracts, references, registry, settings, connections."""
