"""How fast the audit is, beside the peers."""
