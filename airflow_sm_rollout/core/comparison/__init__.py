"""Is green worse than blue? Counts of both in, evidence out."""
