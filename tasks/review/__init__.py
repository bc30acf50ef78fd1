"""The human half of the loop: the review page, the decision log, and decisions made elsewhere."""
