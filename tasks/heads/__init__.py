"""The convex heads and their feature maps: what every audit fits, solves and scores."""
