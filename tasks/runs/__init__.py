"""A run's life on disk: its folder, its steps, and what later runs know of it."""
