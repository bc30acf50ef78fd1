"""The commands of `labelsweep`, each in a module with its options."""
