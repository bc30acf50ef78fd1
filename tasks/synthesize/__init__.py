"""The two-Gaussian data set of the theory, with planted errors and a known optimal boundary."""

from tasks.synthesize.gaussians import find_decision_boundary, synthesize

__all__ = ["find_decision_boundary", "synthesize"]
