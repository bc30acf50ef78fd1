"""From raw features to what the linear heads see, chosen by out-of-fold log-loss."""
