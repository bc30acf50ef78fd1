"""Which samples are flagged as likely mislabeled."""
