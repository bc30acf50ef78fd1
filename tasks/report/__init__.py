"""The report of a run: `summary.json` for programs, `report.html` for people."""

from tasks.report.page import make_report
from tasks.report.summary import summarise

__all__ = ["make_report", "summarise"]
