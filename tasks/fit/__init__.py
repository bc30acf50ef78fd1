"""Softmax regression on all folds at once, fitted to convergence."""
