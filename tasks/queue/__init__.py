"""The relabel queue: the flagged samples, worst first, with reason and evidence."""
