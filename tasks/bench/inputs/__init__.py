"""Inputs as people have them, from the raw file to the queue, beside the peers."""
