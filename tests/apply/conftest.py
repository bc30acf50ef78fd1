"""The audited run that these tests work on."""

from decided_run import audited, out, run

__all__ = ["audited", "out", "run"]
