"""Live through nights of many data sets on the stack of `make serve`, and strike workers and runs while they are at work.

Before each night every data set changes: rows come, go, or get another label, a column appears, the order changes, or nothing
does. Then all are swept at once on a server with Postgres, by two workers that take one run at a time. Some of the runs are
struck at a random moment, and left to what the stack does by itself: it starts the worker again, and the run once more. A run
that is cancelled, and what the stack leaves unfinished, is submitted again, as the next night would. Between the nights people
decide, on the review page and in the spreadsheet.

One data set waits for its review: its run is suspended, people decide, and answer `apply now`. Another has its fit done by the
gpu worker, which is away when the night begins, and comes back once the server calls the fit late.

Wrong is: a data set that is not swept in the end, or not from tonight's rows; a file under its final name that is not whole; a
manifest that does not hold; a decided sample that is asked again under the same label; a flagged sample that nobody is asked
about; an acknowledged decision that is not in the log exactly once; an answered review whose decisions are not applied; a file or
folder that an unfinished run left behind.
"""

import statistics
import sys
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]
import typer

from tasks.bench.command import Seed, count_of
from tasks.bench.faults.changing import CHANGES, ChangingTable, list_wrong_results
from tasks.bench.faults.programs import Program, find_processes
from tasks.bench.faults.reference import check_end, find_broken_files
from tasks.bench.faults.reviewer import (
    REVIEW_OPTIONS,
    fill_spreadsheet,
    make_answers,
    send_decisions,
    wait_for_address,
)
from tasks.bench.faults.workers import WAYS, Strike, run_second_worker, strike, take_gpu_worker
from tasks.bench.scale.stack import run_stack_on_postgres
from tasks.bench.tables import describe_setup, format_table
from tasks.errors import InputError, LabelsweepError
from tasks.review.log import read_log
from tasks.review.queue import load_queue
from tasks.runs.data_sets import LATEST

OPTIONS = {"label": "label", "id": "id", "rounds": 1, "folds": 3, "feature_map": "raw", "controls": 0}
# As in the tests of the stack: the shipped 90 s of silence and 60 s before a retry would only make the nights longer.
VARIABLES = {
    "LABELSWEEP_RUNS": "1",
    "LABELSWEEP_LOST_AFTER": "40",
    "LABELSWEEP_UNSTARTED_AFTER": "180",
    "LABELSWEEP_RETRY_AFTER": "10",
}
# How long a night may stand still before what is left is submitted again: several times what giving up a silent run takes.
STILL_SECONDS = 240.0
# What a run takes before one was measured.
RUN_SECONDS = 15.0
FIRST_DAY = date(2026, 12, 1)
# Of so many data sets people decide after each night, half of them on the page, on so many samples of each queue.
REVIEWED, ANSWERS = 8, 3
# The first data set waits for its review, the second for the gpu worker.
SPECIAL: dict[int, dict[str, object]] = {0: {"wait_for_review": True}, 1: {"gpu_deployment": "fit/gpu"}}


# What the server is asked for: fits that wait for the gpu worker.
LATE_FITS = {
    "deployments": {"name": {"any_": ["gpu"]}},
    "flow_runs": {"state": {"name": {"any_": ["Late"]}}},
}


@dataclass
class Night:
    """What is counted of a night, and the runs that it consists of.

    Attributes:
        runs: The data set of each run, known by its id.
        plan: Strikes at runs, whether their moment has come or not.
        answered: The runs that waited for a review, and have been answered.
        changes: What happened to the files before it.
        again: How many runs the stack started once more.
        late_fits: How many fits waited for their worker.
    """

    number: int
    runs: dict[str, ChangingTable] = field(default_factory=dict)
    plan: dict[str, Strike] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    changes: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    again: int = 0
    submitted: int = 0
    late_fits: int = 0
    decisions: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def strikes(self) -> list[Strike]:
        """The strikes whose moment has come."""
        return [one for one in self.plan.values() if one.steps is not None]


def run_nights(
    *,
    data_sets: Annotated[int, count_of("data sets")] = 20,
    nights: Annotated[int, count_of("nights")] = 5,
    strikes: Annotated[int, count_of("strikes in all")] = 40,
    ways: Annotated[
        str, typer.Option(metavar="WORD", help="strike only in ways with this word: cancelled")
    ] = "",
    seed: Seed = 0,
) -> None:
    """Sweep many changing data sets for several nights on a stack, strike, and count what was lost; Ctrl-C counts until then."""
    if not (chosen := [way for way in WAYS if ways in way]):
        raise InputError(f"no way to strike has '{ways}' in it", fix=f"it is one of: {'; '.join(WAYS)}")
    with run_stack_on_postgres(**VARIABLES) as stack:
        campaign = Campaign(stack, data_sets, chosen, np.random.default_rng(seed))
        with suppress(KeyboardInterrupt), run_second_worker(stack):
            for number in range(nights):
                missing = strikes - sum(len(night.strikes) for night in campaign.nights)
                campaign.live(Night(number + 1), -(-missing // (nights - number)))
        sys.stdout.write(make_tables(campaign.nights, data_sets))
    sys.exit(1 if any(night.wrong for night in campaign.nights) else 0)


class Campaign:
    """Data sets on a stack, night after night, and people who decide on the first samples of queues, each queue once."""

    def __init__(self, stack: Any, count: int, ways: list[str], rng: np.random.Generator) -> None:  # noqa: ANN401
        self.stack, self.rng, self.ways = stack, rng, cycle(ways)
        self.out = Path(stack.environment()["LABELSWEEP_OUT"])
        self.sources = stack.folder / "exports"
        self.sources.mkdir()
        names = [f"set-{n:02}" for n in range(count)]
        self.tables = [
            ChangingTable(name, f"{name}-{{date}}.csv" if n % 2 else f"{name}.csv", rng)
            for n, name in enumerate(names)
        ]
        self.nights: list[Night] = []
        self.took = [RUN_SECONDS]
        self.acknowledged: set[tuple[str, str]] = set()
        self.reviewed: set[str] = set()

    def live(self, night: Night, strikes: int) -> None:
        """Let a night pass and look at what it leaves; then let people decide."""
        for place, table in enumerate(self.tables):
            # The data set that waits for its review gets rows with wrong labels: without any, nobody is asked.
            how = (str(self.rng.choice(CHANGES)) if place else "added") if night.number > 1 else "new"
            table.change(how)
            table.write(self.sources, FIRST_DAY + timedelta(night.number - 1))
            night.changes[how] += 1
        if night.number == 1:
            self._deploy()
        began, known = time.monotonic(), len(self.acknowledged)
        self._sweep(night, strikes)
        night.seconds = time.monotonic() - began
        self._look(night)
        for place, number in enumerate(self.rng.permutation(len(self.tables))[:REVIEWED]):
            self._decide(night, self.tables[number], on_page=place % 2 == 0)
        found = Counter((row.run, row.sample_id) for row in read_log(self.out))
        night.wrong += [
            f"{found[key]} times in the log: {key}" for key in self.acknowledged if found[key] != 1
        ]
        night.decisions = len(self.acknowledged) - known
        self.nights.append(night)
        sys.stderr.write(f"night {night.number}: {dict(night.ends)}, {night.wrong or 'nothing wrong'}\n")

    def _start(self, *arguments: str) -> Program:
        log = self.stack.folder / f"command-{uuid.uuid4().hex}.log"
        return Program([*arguments], self.stack.environment(), log)

    def _deploy(self) -> None:
        entries = {
            table.name: {"source": f"exports/{table.source}", **SPECIAL.get(number, {})}
            for number, table in enumerate(self.tables)
        }
        file = self.stack.folder / "datasets.yaml"
        file.write_text(repr({"defaults": OPTIONS, "datasets": entries}))  # which is YAML too
        check_end(self._start("deploy", "--file", str(file)))

    def _submit(self, table: ChangingTable) -> str:
        with self.stack.client() as client:
            found = client.read_deployment_by_name(f"clean-labels/{table.name}")
            return str(client.create_flow_run_from_deployment(found.id).id)

    def _sweep(self, night: Night, strikes: int) -> None:
        """Submit all data sets and wait until each is swept; strike some of the runs."""
        away = take_gpu_worker(self.stack)
        night.runs = {self._submit(table): table for table in self.tables}
        last, moved = dict[str, str](), time.monotonic()
        while True:
            states, living = self._read_states(night.runs), self._find_living()
            now = {run: f"{one['state_name']} {one['run_count']}" for run, one in states.items()}
            if now != last:
                last, moved = now, time.monotonic()
            at_work = {
                run: one["state_name"] for run, one in states.items() if one["state_type"] != "COMPLETED"
            }
            if not at_work or night.submitted > strikes + 2 * len(self.tables):
                break  # what is missing is found when the night is looked at
            stands_still = time.monotonic() - moved > STILL_SECONDS
            for run, state in at_work.items():
                if state == "Cancelled" or stands_still:
                    night.ends[f"left as {state}"] += 1
                    night.submitted += 1
                    table = night.runs.pop(run)
                    night.runs[self._submit(table)] = table
                elif state == "Suspended" and run not in living:
                    self._decide(night, night.runs[run], on_page=True)
                    night.answered.add(run)
                    with self.stack.client() as client:
                        client.resume_flow_run(uuid.UUID(run), run_input={"action": "apply now"})
            moved = time.monotonic() if stands_still else moved
            if not night.late_fits:
                with suppress(OSError):
                    night.late_fits = len(self.stack.post("/flow_runs/filter", LATE_FITS)[1])
            else:
                away.resume()
            self._strike(night, strikes, living)
            time.sleep(1)
        away.resume()
        self._count_ends(night)

    def _count_ends(self, night: Night) -> None:
        for run, one in self._read_states(night.runs).items():
            state, name, is_answered = one["state_name"], night.runs[run].name, run in night.answered
            night.ends[state] += 1
            night.again += one["run_count"] > 1 + is_answered
            if is_answered and state != "Applied":
                night.wrong.append(f"{name}, answered with apply now, ended as {state}")
            if run in night.plan and night.plan[run].is_cancelled:
                night.wrong.append(f"{name}, cancelled, ended as {state}")
            if one["run_count"] == 1 and state == "Completed":
                self.took.append(one["total_run_time"])

    def _read_states(self, runs: dict[str, ChangingTable]) -> dict[str, dict[str, Any]]:
        """Return the runs as the server has them; it may be too busy to answer at once."""
        deadline = time.monotonic() + STILL_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                status, found = self.stack.post(
                    "/flow_runs/filter", {"flow_runs": {"id": {"any_": list(runs)}}}
                )
                if status == httpx.codes.OK:
                    return {one["id"]: one for one in found}
            time.sleep(1)
        raise LabelsweepError("the server does not answer", where=self.stack.url)

    def _decide(self, night: Night, table: ChangingTable, *, on_page: bool) -> None:
        """Decide on a queue, on the page or in the spreadsheet, unless that was done before."""
        run = self._find_newest(table)
        samples = [item.sample_id for item in load_queue(run).items[:ANSWERS]]
        if run.name in self.reviewed or not samples:
            return
        self.reviewed.add(run.name)
        if on_page:
            answers = [{**answer, "action": uuid.uuid4().hex} for answer in make_answers(run, ANSWERS)]
            program = self._start("review", run.name, *REVIEW_OPTIONS, "--out", str(self.out))
            is_done = len(send_decisions(wait_for_address(program), answers)) == len(answers)
            program.process.terminate()
            program.end()
        else:
            filled = fill_spreadsheet(run, self.out.with_name("filled.csv"), ANSWERS)
            where = ["--run", run.name, "--reviewer", "Bob", "--out", str(self.out)]
            program = self._start("import", str(filled), *where)
            is_done = program.end() == "survived"
        if is_done:
            self.acknowledged |= {(run.name, sample) for sample in samples}
        else:
            said = program.read_errors()[-300:]
            night.wrong.append(f"decisions on {run.name} were refused: {said}")

    def _find_living(self) -> dict[str, psutil.Process]:
        """Return the processes of the runs that are at work."""
        living: dict[str, psutil.Process] = {}
        for process in find_processes({"PREFECT_API_URL": self.stack.url}, having="PREFECT__FLOW_RUN_ID"):
            living.setdefault(process.info["environ"]["PREFECT__FLOW_RUN_ID"], process)
        return living

    def _strike(self, night: Night, wanted: int, living: dict[str, psutil.Process]) -> None:
        """Draw moments for runs that began, and strike those whose moment has come."""
        here = living.keys() & night.runs.keys()
        planned = [run for run, one in night.plan.items() if one.steps is None and run in here]
        for run in here - night.plan.keys():
            if len(night.strikes) + len(planned) < wanted and self.rng.random() < 0.5:
                # A process starts up for about as long as the sweep itself takes, which Prefect does not count.
                after = 2 * statistics.median(self.took) * self.rng.random()
                night.plan[run] = Strike(next(self.ways), after, time.monotonic())
                planned.append(run)
        for run in planned:
            if time.monotonic() - (one := night.plan[run]).began > one.after:
                unfinished = self._list_unfinished(night.runs[run])
                one.steps = sum(len(list(path.glob("steps/*.json"))) for path in unfinished)
                one.is_cancelled = strike(self.stack, one.way, run, living[run])

    def _find_newest(self, table: ChangingTable) -> Path:
        return (self.out / LATEST / table.name).resolve()

    def _list_unfinished(self, table: ChangingTable) -> list[Path]:
        runs = [path for path in self.out.glob(f"runs/{table.name}-*") if path.is_dir()]
        return [path for path in runs if not (path / "manifest.json").exists()]

    def _look(self, night: Night) -> None:
        """Compare what the night left with what is known by id."""
        night.wrong += [f"not whole: {path}" for path in find_broken_files(self.out)]
        night.wrong += [f"left behind: {path}" for path in self.out.rglob("*.partial*")]
        log = read_log(self.out)
        settled = {(row.sample_id, label) for row in log for label in (row.given_label, row.new_label)}
        for table in self.tables:
            night.wrong += [f"not finished: {run.name}" for run in self._list_unfinished(table)]
            run = self._find_newest(table)
            # An unchanged night shows the last queue, in which the decisions since then are marked.
            is_reviewed = run.name in self.reviewed
            night.wrong += list_wrong_results(run, table, settled, is_reviewed=is_reviewed)


def make_tables(nights: list[Night], data_sets: int) -> str:
    """Return what was seen as Markdown."""
    strikes = [strike for night in nights for strike in night.strikes]
    heads = ["night", "runs ended as", "files before it", "strikes", "started again by the stack"]
    heads += ["submitted again", "fits that waited for their worker", "decisions after it", "seconds"]
    rows = []
    for night in nights:
        counted = (sorted(night.ends.items()), sorted(night.changes.items()))
        words = [", ".join(f"{count} {what}" for what, count in some) for some in counted]
        counts = [len(night.strikes), night.again, night.submitted, night.late_fits, night.decisions]
        rows.append([night.number, *words, *counts, night.seconds])
    ways, steps = Counter(one.way for one in strikes), Counter(one.steps or 0 for one in strikes)
    wrong = [(night.number, text) for night in nights for text in night.wrong]
    parts = [
        f"{data_sets} data sets of 60 to 150 rows, {len(nights)} nights, {len(strikes)} strikes.\n",
        format_table(heads, rows, words=3, show=".0f"),
        format_table(["struck", "strikes"], sorted(ways.items())),
        format_table(["steps that were finished at the strike", "strikes"], sorted(steps.items())),
        format_table(["night", "what was wrong"], wrong or [("", "nothing")], words=2),
        f"{describe_setup('prefect', 'labelsweep')}\n",
    ]
    return "\n".join(parts)
