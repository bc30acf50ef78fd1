"""What reviewing brings, and whether the review server holds."""
