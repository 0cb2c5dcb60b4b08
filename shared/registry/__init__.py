"""Model versions on disk: folders, checksums, stages under a lock, gates, publication to Redis."""
