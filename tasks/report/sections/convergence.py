"""Whether every fit and every solve reached its tolerance; influences assume that they did."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.report.summary import Summary, find_largest
from tasks.show.parts import Cell, Columns, Section, Table, Text
from tasks.show.text import format_number, join_names, pluralise
from tasks.show.view import RunView

_KINDS = (
    ("fit", "Fit", "gradient_norm", "Gradient norm"),
    ("solve", "iHVP solve", "residual", "Relative residual"),
)


def describe_failures(view: RunView, summary: Summary) -> str:
    """Return what the top of the page says of a run that did not converge; empty if it did."""
    found = summary.get("convergence")
    if found is None or found["converged"]:
        return ""
    failed = []
    for kind, name, *_ in _KINDS:
        part = found.get(kind) or {}
        if part.get("not_converged"):
            noun = "fit" if name == "Fit" else name
            failed.append(f"{part['not_converged']:,} of {pluralise(part['count'], noun)}")
    what = "The fit or the solve did not reach its tolerance."
    if failed:
        what = f"{join_names(failed)} did not reach the tolerance."
    fixes = []
    if view.config.get("optimizer") == "adamw":
        fixes.append("--optimizer newton")
    if (found.get("solve") or {}).get("not_converged") and view.config.get("solver") != "direct":
        fixes.append("--solver direct")
    advice = f" Run again with {join_names(fixes)}." if fixes else ""
    return f"Not converged: {what} Influences assume an optimum, so the order of this queue is not to be relied on.{advice}"


def build(view: RunView, summary: Summary) -> Section | None:
    """Return the worst fit and the worst solve of every round."""
    found = summary.get("convergence")
    if found is None:
        return None
    entries = view.json("model/convergence.json") or {}
    tables = [_tabulate_rounds(entries[kind], *kinds) for kind, *kinds in _KINDS if entries.get(kind)]
    loud = describe_failures(view, summary)
    verdict = Text(loud, "warning") if loud else Text("Every fit and every solve reached its tolerance.")
    return Section("convergence", "Convergence", [verdict, Columns(tables)], "Convergence", folded=True)


def _tabulate_rounds(entries: Sequence[Mapping[str, Any]], name: str, measure: str, title: str) -> Table:
    """Return one row for each round; iterations only where they were counted."""
    counted_too = any(entry.get("iterations") is not None for entry in entries)
    measures = [measure, "iterations"] if counted_too else [measure]
    rows: list[list[Cell | str]] = []
    for number_of_round in sorted({entry.get("round", 1) for entry in entries}):
        mine = [entry for entry in entries if entry.get("round", 1) == number_of_round]
        converged = sum(bool(entry.get("converged")) for entry in mine)
        failed = converged < len(mine)
        rows.append(
            [
                f"Round\u00a0{number_of_round}",
                Cell(f"{converged:,} of {len(mine):,}" + (" ✗" if failed else ""), strong=failed),
                *(format_number(find_largest(entry.get(name) for entry in mine)) for name in measures),
            ]
        )
    header = [name, "Converged", f"{title}, worst", *(["Iterations, most"] if counted_too else [])]
    caption = f"{name}: one for each fold and model of a round"
    return Table(caption, header, rows, numeric=frozenset({1, 2, 3}))
