"""Validate: what a data set has to be, and what happens to the rows that are not."""

from tasks.validate.run import validate

__all__ = ["validate"]
