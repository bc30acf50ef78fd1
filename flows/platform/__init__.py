"""What labelsweep needs of Prefect: its server, its deployments, and what its UI shows."""
