"""Benchmarks, side by side with the peers; `labelsweep bench NAME` runs the module of that name."""
