"""Planted controls: labels flipped on purpose in a shadow audit, which say how good this queue is on this data."""
