"""What was swept, what was found, and what to do next."""

import shlex
from collections.abc import Mapping
from typing import Any

from tasks.addresses import work_folder
from tasks.ingest.leaks.search import describe_leaks
from tasks.report.sections.controls import is_told, write_interval
from tasks.report.sections.convergence import describe_failures
from tasks.report.summary import Summary
from tasks.runs.data_sets import find_short_name
from tasks.show.parts import Command, Facts, ReportPart, Section, Text
from tasks.show.text import NAME, format_share, join_names, pluralise, show_plain, write_trust_line
from tasks.show.view import RunView

# Columns beside an image or an embedding that the lead names; of more it says how many.
NAMED = 6
# Six columns with the longest reason and their names.
LINE = 2_000


def build(view: RunView, summary: Summary) -> Section:
    """Return the head of the page."""
    parts: list[ReportPart] = []
    if loud := describe_failures(view, summary):
        parts.append(Text(loud, "warning"))
    if why := summary.get("queue", {}).get("untrusted"):
        parts.append(Text(f"No estimate of this run can be trusted: {show_plain(why, LINE)}.", "warning"))
    elif trust := summary.get("queue", {}).get("trust"):
        parts.append(
            Text(
                write_trust_line(summary["queue"]),
                "warning" if trust["verdict"] in ("weak", "cannot tell") else "plain",
            )
        )
    parts.append(Text(_describe_sweep(view, summary)))
    if view.dataset and view.dataset.leaks:
        lines = describe_leaks(view.dataset.leaks, {})
        parts += [Text(show_plain(line[0].upper() + line[1:], LINE) + ".") for line in lines]
    still_open = summary.get("queue", {}).get("still_open", 0)
    if view.queued or still_open:
        named = find_short_name(view.run_id) if still_open else view.run_id
        parts += [
            Command("Review them, one key a sample", _write_command("review", named, view)),
            Command("Correct the data, measure the gain", _write_command("apply", view.run_id, view)),
        ]
    facts = _list_facts(view, summary)
    if facts:
        parts.append(Facts(facts))
    return Section("headline", write_title(view, summary), parts, "Top")


def _write_command(command: str, named: str, view: RunView) -> str:
    """Return what to type, from any folder: the results are where the run was told to put them."""
    out, address = str(view.config.get("out") or ""), str(view.config.get("publish") or "")
    if address and out == str(work_folder(address).absolute()):
        out = address
    return f"labelsweep {command} {named}" + (f" --out {show_plain(shlex.quote(out), NAME)}" if out else "")


def write_title(view: RunView, summary: Summary) -> str:
    """Return the finding in one sentence."""
    if view.scores is None:
        return f"{show_plain(view.name)}: nothing was audited"
    flagged, rows = summary["queue"]["flagged"], len(view.scores)
    verdict = summary["queue"].get("trust", {}).get("verdict")
    if verdict == "cannot tell":
        return f"Which of {pluralise(rows, 'sample')} are mislabeled cannot be told"
    if flagged and verdict == "weak":
        return f"{flagged:,} of {pluralise(rows, 'sample')} {'is' if flagged == 1 else 'are'} doubtful: a weak queue"
    if not flagged:
        return f"None of {pluralise(rows, 'sample')} looks mislabeled"
    if verdict == "fair":
        return f"{flagged:,} of {pluralise(rows, 'sample')} may be mislabeled"
    return f"{flagged:,} of {pluralise(rows, 'sample')} {'looks' if flagged == 1 else 'look'} mislabeled"


def _describe_sweep(view: RunView, summary: Summary) -> str:
    """Return what was swept and how, and whether the queue holds everything that was flagged."""
    data, audit = summary.get("data"), summary.get("audit", {})
    what = "This run"
    if data and view.dataset:
        shape = " × ".join(f"{side:,}" for side in view.dataset.feature_shape[:2])  # without channels
        contents = {
            "image": f"images seen at {shape} pixels",
            "embedding": f"embeddings of {shape} numbers",
            "text": "texts",
        }
        content = contents.get(data["payload"], pluralise(data["features"], "feature"))
        if beside := [show_plain(column.name) for column in view.dataset.beside]:
            named = join_names(beside) if len(beside) <= NAMED else pluralise(len(beside), "column")
            content += f" beside {named}"
        groups = data.get("groups")
        grouped = f" in {pluralise(groups['count'], 'group')}" if groups else ""
        size = f"{pluralise(data['rows'], 'sample')}{grouped} of {pluralise(len(data['classes']), 'class', 'classes')}"
        what = f"The sweep of {show_plain(view.name)} read {size}, {content}"
    sentence = f"{what}{_describe_audit(view, audit)}."
    copies = (data or {}).get("groups")
    if copies and copies["column"] is None:
        sentence += f" {pluralise(copies['shared'], 'sample')} are nearly the same as another one, and lie in one fold with it."
    if view.scores is None:
        return sentence
    queue, since = summary["queue"], view.json("since.json") or {}
    unflagged = queue["queued_unflagged"]
    sentence += _describe_queue(view, queue["flagged"], unflagged, since) if queue["flagged"] else ""
    if unflagged:
        sentence += (
            f" The queue holds {pluralise(unflagged, 'sample')} that are not flagged, "
            "only the most doubtful of the others."
        )
    if others := since.get("open", 0) - since.get("open_flagged", 0):
        sentence += (
            f" Earlier queues show {pluralise(others, 'sample')} of that kind, and nobody has answered yet."
        )
    if not (queue["flagged"] or unflagged or others):
        sentence += " There is nothing to review."
        if not view.config.get("min_queue"):
            sentence += " The option --min-queue 20 queues the 20 most doubtful samples all the same."
    return sentence


def _describe_queue(view: RunView, flagged: int, unflagged: int, since: Mapping[str, Any]) -> str:
    """Return which of the flagged samples the queue asks, where it is not all of them."""
    reasons = [
        (since.get("decided", 0), "people have decided on"),
        (since.get("open_flagged", 0), "earlier queues show and nobody has answered"),
    ]
    asked = flagged - sum(count for count, _ in reasons)
    found = f" Of the {flagged:,} flagged samples, " if asked < flagged else ""
    found += join_names(f"{count:,} {why}" for count, why in reasons if count) + "." if found else ""
    if view.queued - unflagged < asked:
        rest = "other " if found else "flagged "
        found += f" The queue holds the worst {view.queued - unflagged:,} of the {asked:,} {rest}samples."
    elif found and asked:
        found += f" The queue asks about the other {asked:,}."
    elif found and not unflagged:
        found += " The queue is empty."
    return found


def _describe_audit(view: RunView, audit: Mapping[str, Any]) -> str:
    """Return how many labels were audited, and on what."""
    if view.scores is None:
        return ""
    counts = [(audit.get(f"{one}s"), one) for one in ("fold", "round")]
    sizes = [pluralise(count, one) for count, one in counts if isinstance(count, int)]
    on = {
        "holdout": " on a held-out evaluation set",
        "trusted": " on the samples whose label is verified",
        "crossfit": f" in {join_names(sizes)}" if sizes else "",
    }
    return f", and audited {pluralise(len(view.scores), 'label')}{on.get(str(audit.get('evaluation')), '')}"


def _list_facts(view: RunView, summary: Summary) -> list[tuple[str, str, str]]:
    facts: list[tuple[str, str, str]] = []
    if view.scores is not None and len(view.scores):
        queue = summary["queue"]
        share = queue["flagged"] / len(view.scores)
        facts.append(("Flagged", f"{queue['flagged']:,}", f"{format_share(share, 1)} of all samples"))
        interval = queue.get("controls", {}).get("noise_rate")
        if queue.get("untrusted"):
            facts.append(("Wrong labels, estimated", "–", "something learned from gives the label away"))
        elif interval:
            estimate, remark = format_share(interval["estimate"], 1), write_interval(interval, 1)
            if queue.get("trust", {}).get("verdict") in ("weak", "cannot tell"):
                estimate = f"{format_share(interval['low'], 1)} to {format_share(interval['high'], 1)}"
                remark = "95 % interval: a closer estimate could not be trusted"
            facts.append(("Wrong labels, estimated", estimate, remark))
        else:
            why = "no label could be planted as a control: too few are neither flagged nor verified"
            if view.config.get("controls") == 0:
                why = "no controls were asked for (--controls 0)"
            facts.append(("Wrong labels, estimated", "–", why))
    facts += _list_recall_facts(summary)
    if view.validation:
        remark = f"of {pluralise(view.validation.rows_in, 'row')}, by validation"
        facts.append(("Set aside", f"{view.validation.quarantined:,}", remark))
    return facts


def _list_recall_facts(summary: Summary) -> list[tuple[str, str, str]]:
    """Return how much of what is wrong the queue holds, and how pure it is: known or estimated; nothing where neither is."""
    quality, controls = summary.get("quality"), summary.get("queue", {}).get("controls", {})
    said = {"precision": "of the flagged are wrong", "recall": "of the wrong are flagged"}
    if quality and quality["average_precision"] is not None:
        return [
            (name.capitalize(), format_share(quality[name]), f"{what}, by the known truth")
            for name, what in said.items()
        ]
    told = [(name, what, controls[name]) for name, what in said.items() if is_told(controls.get(name))]
    return [
        (
            f"{name.capitalize()}, estimated",
            format_share(share["estimate"]),
            f"{what}; {write_interval(share)}",
        )
        for name, what, share in told
    ]
