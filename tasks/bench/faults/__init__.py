"""Harm done to real runs at random moments, and what was lost."""
