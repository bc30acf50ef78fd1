"""How good the queue is, where the truth is known, beside the baselines on the same samples."""

import numpy as np

from tasks.report.figures import Axis, Chart
from tasks.report.quality import RANKED, Ranking, read_ranking
from tasks.report.summary import Summary
from tasks.show.parts import Cell, Columns, Facts, Figure, ReportPart, Section, Table, TableRows, Text
from tasks.show.scores import Floats
from tasks.show.text import format_decimal, format_number, format_share, pluralise
from tasks.show.view import RunView

# What each ranking is called, and how its curve looks.
_RANKINGS = {
    "score": ("this queue", "helpful thick"),
    "training_loss": ("training loss", "harmful dotted"),
    "self_confidence": ("self-confidence", "third dashed"),
    "normalized_margin": ("normalized margin", "quiet dashed"),
}

# A curve of this many points is smooth at the size of the drawing.
CURVE_POINTS = 300


def build(view: RunView, summary: Summary) -> Section | None:
    """Return the precision-recall curves and the measures."""
    found, scores = summary.get("quality"), view.scores
    if not found or scores is None:
        return None
    errors = pluralise(found["n_errors"], "wrong label")
    measures = [
        ("Precision", "precision", "of the flagged samples are wrong"),
        ("Recall", "recall", f"of {errors} are flagged"),
        ("F1", "f1", "of the flags"),
        ("Suggestion right", "suggested_right", "of the wrong labels that are flagged"),
    ]
    facts = [_describe_measure(found, *measure) for measure in measures]
    what = "The truth is known for this data set. It scored the queue and had no part in making it."
    parts: list[ReportPart] = [Text(what), Facts(facts)]
    ranked = read_ranking(scores, view.path("baselines.parquet"))
    if ranked is not None and found["average_precision"] is not None:
        parts.append(Columns([_draw_curves(ranked, summary), _tabulate_measures(summary)]))
    else:
        parts.append(Text(f"No precision-recall curve: {found['undefined']['average_precision']}.", "quiet"))
    return Section("quality", "Against the known truth", parts, "Quality", folded=True)


def _describe_measure(found: Summary, title: str, name: str, remark: str) -> tuple[str, str, str]:
    """Return a measure with its remark; with the reason instead where it is undefined."""
    value = found[name]
    if value is None:
        return title, "–", found["undefined"][name]
    return title, format_decimal(value, 3) if name == "f1" else format_share(value), remark


def _draw_curves(ranked: Ranking, summary: Summary) -> Figure:
    from sklearn.metrics import precision_recall_curve  # noqa: PLC0415 (a second to import)

    found = summary["quality"]
    alt = (
        f"Precision-recall curves; average precision of the queue {format_number(found['average_precision'])}"
    )
    chart = Chart(Axis("recall: share of the wrong labels found", 0, 1), Axis("precision", 0, 1), height=380)
    for name, score in reversed(list(ranked.scores.items())):
        precision, recall, _ = precision_recall_curve(ranked.wrong, -score)
        # The last point is a convention, not a measurement; the rest comes in ascending recall.
        recall, precision = _thin_curve(recall[-2::-1], precision[-2::-1])
        title, look = _RANKINGS[name]
        chart.line(recall, precision, look, title)
    legend = [(look, title) for name, (title, look) in _RANKINGS.items() if name in ranked.scores]
    if found["precision"] is not None and found["recall"] is not None:
        where = np.array([found["recall"]]), np.array([found["precision"]])
        tip = f"what is flagged: recall {format_share(found['recall'])}, precision {format_share(found['precision'])}"
        chart.line(*where, "ink", tip)
        legend.append(("ink dot", "what is flagged"))
    caption = "Going down the queue: how many of the wrong labels were met (right) and how pure the queue was so far (up)."
    return Figure(chart.svg(alt), alt, caption, legend)


def _thin_curve(recall: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Return the best precision at each recall, at no more than `CURVE_POINTS` of them."""
    distinct, first = np.unique(recall, return_index=True)
    kept = np.unique(np.linspace(0, len(distinct) - 1, CURVE_POINTS).astype(int))
    return distinct[kept], precision[first][kept]


def _tabulate_measures(summary: Summary) -> Table:
    found = summary["quality"]
    rankings = {"score": found, **found["baselines"]}
    best = {key: max(r[key] for r in rankings.values() if r) for key in RANKED}
    rows: TableRows = [
        [_RANKINGS[name][0], *(Cell(f"{r[key]:.3f}", strong=r[key] == best[key]) for key in RANKED)]
        for name, r in rankings.items()
        if r
    ]
    header = ["Ranked by", "Average precision", "AUROC", f"Precision at {found['n_errors']:,}"]
    caption = "The queue beside the baselines, on the same samples and folds; the best of each column is bold"
    return Table(caption, header, rows, numeric=frozenset({1, 2, 3}))
