"""How well wrong labels are found, beside the peers."""
