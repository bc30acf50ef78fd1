"""One round's fit: all folds of every head, to convergence."""
