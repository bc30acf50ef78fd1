"""The review page: a web application on one run."""
