"""What else stands out, beside the queue and never in its ranking: near-duplicates, outliers, features that tell the label."""
