"""What happens in which order: the flows, their parameters, and the command that runs them."""
