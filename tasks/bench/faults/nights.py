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

import random
import statistics
import sys
import tempfile
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
import psutil  # type: ignore[import-untyped]
import typer

from tasks.bench.command import Seed, count_of
from tasks.bench.faults.changing import CHANGES, ChangingTable, list_wrong_results
from tasks.bench.faults.programs import Program, find_processes
from tasks.bench.faults.reference import find_broken_files
from tasks.bench.faults.reviewer import People
from tasks.bench.faults.workers import WAYS, Strike, run_second_worker, strike, take_gpu_worker
from tasks.bench.helpers import import_test_module
from tasks.bench.tables import describe_setup, format_table
from tasks.errors import InputError, LabelsweepError
from tasks.review.log import read_log
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
# Of so many data sets people decide after each night, half of them on the page.
REVIEWED = 8
# The first data set waits for its review, the second for the gpu worker.
SPECIAL: dict[int, dict[str, object]] = {0: {"wait_for_review": True}, 1: {"gpu_deployment": "fit/gpu"}}


@dataclass
class Night:
    """What is counted of a night, and the runs that it consists of.

    Attributes:
        runs: The data set of each run, known by its id.
        plan: Strikes at runs, whether their moment has come or not.
        answered: The runs that waited for a review, and have been answered.
    """

    number: int
    changes: Counter[str]
    runs: dict[str, ChangingTable] = field(default_factory=dict)
    plan: dict[str, Strike] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)
    strikes: list[Strike] = field(default_factory=list)
    seconds: float = 0.0
    again: int = 0
    submitted: int = 0
    waited: int = 0
    decisions: int = 0
    wrong: list[str] = field(default_factory=list)


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
    stacks, servers = (import_test_module("stack", name) for name in ("local_stack", "postgres_server"))
    if servers.binaries() is None:
        raise InputError("no Postgres on this machine", fix="apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="labelsweep-nights-") as name, servers.postgres(None) as database:
        ports = {"LABELSWEEP_REPORTS_PORT": str(servers.free_port())}
        variables = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database, **VARIABLES, **ports}
        stack = stacks.Stack(Path(name), servers.free_port(), variables)
        stack.start()
        try:
            campaign = Campaign(stack, data_sets, chosen, random.Random(seed))  # noqa: S311 (no secret)
            with suppress(KeyboardInterrupt), run_second_worker(stack):
                for number in range(nights):
                    missing = strikes - sum(len(night.strikes) for night in campaign.nights)
                    campaign.live(number, -(-missing // (nights - number)))
            sys.stdout.write(campaign.make_table())
        finally:
            stack.stop()
    sys.exit(1 if any(night.wrong for night in campaign.nights) else 0)


class Campaign:
    """Data sets on a stack, night after night."""

    def __init__(self, stack: Any, count: int, ways: list[str], rng: random.Random) -> None:  # noqa: ANN401
        self.stack, self.rng = stack, rng
        self.out = Path(stack.environment()["LABELSWEEP_OUT"])
        self.sources = stack.folder / "exports"
        self.sources.mkdir()
        self.tables = [
            ChangingTable(name := f"set-{n:02}", f"{name}-{{date}}.csv" if n % 2 else f"{name}.csv", rng)
            for n in range(count)
        ]
        for table in self.tables:
            table.add(rng.randrange(60, 151))
        self.nights: list[Night] = []
        self.people = People(self.out, self._command)
        self.took: list[float] = []
        self.ways = cycle(ways)

    def live(self, number: int, strikes: int) -> None:
        """Let a night pass and look at what it leaves; then let people decide."""
        night = Night(number + 1, Counter())
        for place, table in enumerate(self.tables):
            # The data set that waits for its review gets rows with wrong labels: without any, nobody is asked.
            how = (self.rng.choice(CHANGES) if place else "added") if number else "new"
            table.change(how)
            table.write(self.sources, FIRST_DAY + timedelta(number))
            night.changes[how] += 1
        if not number:
            self._deploy()
        began, known = time.monotonic(), len(self.people.acknowledged)
        self._sweep(night, strikes)
        night.seconds = time.monotonic() - began
        self._look(night)
        for place, table in enumerate(self.rng.sample(self.tables, min(REVIEWED, len(self.tables)))):
            night.wrong += self.people.decide(self._newest(table), on_page=place % 2 == 0)
        night.wrong += self.people.find_wrong_with_log()
        night.decisions = len(self.people.acknowledged) - known
        self.nights.append(night)
        sys.stderr.write(
            f"night {night.number}: {dict(night.ends)}, {len(night.strikes)} strikes, {night.again} started again, "
            f"{night.submitted} submitted again, {night.seconds:.0f} s; {'; '.join(night.wrong) or 'nothing wrong'}\n"
        )

    def _command(self, *arguments: str) -> Program:
        log = self.stack.folder / f"command-{uuid.uuid4().hex}.log"
        where = [] if arguments[0] == "deploy" else ["--out", str(self.out)]
        return Program([*arguments, *where], self.stack.environment(), log)

    def _deploy(self) -> None:
        entries = {
            table.name: {"source": f"exports/{table.source}", **SPECIAL.get(number, {})}
            for number, table in enumerate(self.tables)
        }
        file = self.stack.folder / "datasets.yaml"
        file.write_text(repr({"defaults": OPTIONS, "datasets": entries}))  # which is YAML too
        if (program := self._command("deploy", "--file", str(file))).end() != "survived":
            raise LabelsweepError("the data sets could not be deployed", where=program.said()[-300:])

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
            states, living = self._states(night.runs), self._living()
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
                    self._submit_again(night, run, state)
                elif state == "Suspended" and run not in living:
                    self._answer(night, run)
            moved = time.monotonic() if stands_still else moved
            if not night.waited:
                night.waited = self._count_late_fits()
            if night.waited:
                away.resume()
            self._strike(night, strikes, living)
            time.sleep(1)
        away.resume()
        self._count_ends(night)

    def _submit_again(self, night: Night, run: str, state: str) -> None:
        night.ends[f"left as {state}"] += 1
        night.submitted += 1
        table = night.runs.pop(run)
        night.runs[self._submit(table)] = table

    def _count_ends(self, night: Night) -> None:
        for run, one in self._states(night.runs).items():
            state, is_answered = one["state_name"], run in night.answered
            night.ends[state] += 1
            night.again += one["run_count"] > 1 + is_answered
            if is_answered and state != "Applied":
                night.wrong.append(f"{night.runs[run].name}, answered with apply now, ended as {state}")
            if run in night.plan and night.plan[run].is_cancelled:
                night.wrong.append(f"{night.runs[run].name}, cancelled, ended as {state}")
            if one["run_count"] == 1 and state == "Completed":
                self.took.append(one["total_run_time"])

    def _states(self, names: dict[str, ChangingTable]) -> dict[str, dict[str, Any]]:
        """Return the runs as the server has them; it may be too busy to answer at once."""
        deadline = time.monotonic() + STILL_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                status, found = self.stack.post(
                    "/flow_runs/filter", {"flow_runs": {"id": {"any_": list(names)}}}
                )
                if status == httpx.codes.OK:
                    return {one["id"]: one for one in found}
            time.sleep(1)
        raise LabelsweepError("the server does not answer", where=self.stack.url)

    def _count_late_fits(self) -> int:
        wanted = {
            "deployments": {"name": {"any_": ["gpu"]}},
            "flow_runs": {"state": {"name": {"any_": ["Late"]}}},
        }
        with suppress(OSError):
            return len(self.stack.post("/flow_runs/filter", wanted)[1])
        return 0

    def _answer(self, night: Night, run: str) -> None:
        """Decide on the queue of a suspended run, and answer its form."""
        night.wrong += self.people.decide(self._newest(night.runs[run]), on_page=True)
        night.answered.add(run)
        with self.stack.client() as client:
            client.resume_flow_run(uuid.UUID(run), run_input={"action": "apply now"})

    def _living(self) -> dict[str, psutil.Process]:
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
                length = 2 * (statistics.median(self.took) if self.took else RUN_SECONDS)
                night.plan[run] = Strike(next(self.ways), self.rng.random() * length, time.monotonic())
                planned.append(run)
        for run in planned:
            if time.monotonic() - (one := night.plan[run]).began > one.after:
                one.steps = self._count_steps(night.runs[run])
                one.is_cancelled = strike(self.stack, one.way, run, living[run])
                night.strikes.append(one)

    def _newest(self, table: ChangingTable) -> Path:
        return (self.out / LATEST / table.name).resolve()

    def _runs(self, table: ChangingTable) -> list[Path]:
        return sorted(path for path in self.out.glob(f"runs/{table.name}-*") if path.is_dir())

    def _count_steps(self, table: ChangingTable) -> int:
        """Return how many steps the run of a data set that is not finished has kept."""
        unfinished = [path for path in self._runs(table) if not (path / "manifest.json").exists()]
        return sum(len(list(path.glob("steps/*.json"))) for path in unfinished)

    def _look(self, night: Night) -> None:
        """Compare what the night left with what is known by id."""
        night.wrong += [f"not whole: {path}" for path in find_broken_files(self.out)]
        night.wrong += [f"left behind: {path}" for path in self.out.rglob("*.partial*")]
        log = read_log(self.out)
        settled = {(row.sample_id, label) for row in log for label in (row.given_label, row.new_label)}
        for table in self.tables:
            unfinished = [run for run in self._runs(table) if not (run / "manifest.json").exists()]
            night.wrong += [f"not finished: {run.name}" for run in unfinished]
            run = self._newest(table)
            if not run.is_dir():
                night.wrong.append(f"never swept: {table.name}")
                continue
            # An unchanged night shows the last queue, in which the decisions since then are marked.
            night.wrong += list_wrong_results(
                run, table, settled, is_reviewed=run.name in self.people.reviewed
            )

    def make_table(self) -> str:
        """Return what was seen as Markdown."""
        strikes = [strike for night in self.nights for strike in night.strikes]
        rows = [
            [
                night.number,
                ", ".join(f"{count} {name}" for name, count in sorted(night.ends.items())),
                ", ".join(f"{count} {how}" for how, count in sorted(night.changes.items())),
                *(
                    len(night.strikes),
                    night.again,
                    night.submitted,
                    night.waited,
                    night.decisions,
                    f"{night.seconds:.0f}",
                ),
            ]
            for night in self.nights
        ]
        heads = ["night", "runs ended as", "files before it", "strikes", "started again by the stack"]
        heads += ["submitted again", "fits that waited for their worker", "decisions after it", "seconds"]
        ways, steps = Counter(one.way for one in strikes), Counter(one.steps or 0 for one in strikes)
        wrong = [(night.number, text) for night in self.nights for text in night.wrong]
        parts = [
            f"{len(self.tables)} data sets of 60 to 150 rows, {len(self.nights)} nights, {len(strikes)} strikes.\n",
            format_table(heads, rows, words=3),
            format_table(["struck", "strikes"], sorted(ways.items())),
            format_table(["steps that were finished at the strike", "strikes"], sorted(steps.items())),
            format_table(["night", "what was wrong"], wrong or [("", "nothing")], words=2),
            f"{describe_setup('prefect', 'labelsweep')}\n",
        ]
        return "\n".join(parts)
