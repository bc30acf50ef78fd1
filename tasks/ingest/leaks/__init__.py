"""Columns and words that give the label away."""
