"""Decisions to a new version of the data set, and what it is worth."""
