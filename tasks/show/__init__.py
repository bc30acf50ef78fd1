"""What the report and the review page share: a finished run as people see it."""
