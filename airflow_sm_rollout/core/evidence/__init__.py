"""Is green healthy? What it and blue did, compared."""
