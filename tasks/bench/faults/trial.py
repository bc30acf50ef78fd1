"""One trial of a campaign of faults: strike a program, start the same again, and compare."""

import random
import shutil
import time
from typing import Literal

from pydantic import BaseModel

from tasks.bench.faults import reference as references
from tasks.bench.faults.harm import mount, set_clock, strike, unmount
from tasks.bench.faults.programs import PATIENCE, Program, Submitted
from tasks.bench.faults.reviewer import send_decisions, wait_for_address
from tasks.bench.faults.store import FaultyStore
from tasks.errors import LabelsweepError
from tasks.review.log import read_log

Way = Literal[
    "kill", "run", "worker", "both", "terminate", "full", "clock", "twice", "removed", "corrupted", "store"
]
Stage = Literal["sweep", "review", "apply"]
SERVED = ("run", "worker", "both")
KILLED = ("kill", *SERVED)
# Ends that a program may have when something is done to it.
ALLOWED = ("survived", "refused", "killed")
# What is compared of a worker's run: its other files name another place than the command's.
COMPARED = ("scores.parquet", "queue.parquet", "queue.csv")
# A run that takes this many times as long as an undisturbed one hangs.
TIMES_AS_LONG = 20.0
ROOMY = 64 * 2**20


class Trial(BaseModel):
    """A program that was struck and started again.

    Attributes:
        ended: How the struck program ended: survived, refused (one line), killed, or what is wrong with its end.
        kept: Finished steps at each strike that came before the end.
        lost: What was wrong in the end; empty where all is well.
    """

    number: int
    way: Way
    stage: Stage
    done: str = ""
    ended: str = ""
    said: str = ""
    kept: list[int] = []
    late: int = 0
    lost: list[str] = []

    @property
    def wrong(self) -> list[str]:
        """What the trial showed that must not be.

        >>> Trial(number=0, way="kill", stage="sweep", ended="a traceback").wrong
        ['a traceback']
        """
        return [*([] if self.ended in ALLOWED else [self.ended]), *self.lost]


def run_trial(
    reference: references.Reference, number: int, way: Way, stage: Stage, strikes: int, seed: int
) -> Trial:
    """Strike one program, or several one after the other, and start it again.

    Args:
        reference: The data set and what undisturbed commands make of it.
        number: Number of the trial, which with the seed decides the moments.
    """
    at_work = _AtWork(reference, Trial(number=number, way=way, stage=stage), seed)
    try:
        at_work.prepare()
        for _ in range(strikes):
            at_work.strike_once()
        if way == "full":
            mount(at_work.out, ROOMY)
        if at_work.store:
            at_work.store.answer(yes=True)
        at_work.trial.lost += at_work.repeat()
    finally:
        at_work.clear()
    return at_work.trial


class _AtWork:
    """A trial at work: the same program is started again and again, in the same folder of results.

    The folder is empty for a sweep and has a finished run otherwise. A disk to be filled is one of its own. Every fourth
    sweep of a command does without a Prefect server.
    """

    def __init__(self, reference: references.Reference, trial: Trial, seed: int) -> None:
        self.reference, self.trial = reference, trial
        self.rng = random.Random(f"{seed}-{trial.number}")  # noqa: S311 (no secret)
        self.out = reference.folder / f"trial-{trial.number}"
        self.backup = self.out.with_name(f"{self.out.name}-backup")
        self.environment = dict(reference.environment)
        self.store = FaultyStore(self.out.name, self.out) if trial.way == "store" else None
        if self.store:
            self.out = self.store.out
            self.environment |= self.store.environment
        self.made: list[Program | Submitted] = []
        self.acknowledged: set[str] = set()
        self.patience = max(PATIENCE, TIMES_AS_LONG * reference.seconds)

    def prepare(self) -> None:
        """Make what the program begins with; of an application the decisions too."""
        way, stage = self.trial.way, self.trial.stage
        self.out.mkdir(parents=True)
        if stage == "sweep" and way not in KILLED and self.trial.number % 4 == 0:
            del self.environment["PREFECT_API_URL"]
        if way == "clock":
            self.environment = set_clock(self.environment, self.out)
        if way == "full":
            mount(self.out, ROOMY)
        if stage != "sweep":
            shutil.copytree(self.reference.results, self.out, symlinks=True, dirs_exist_ok=True)
        if stage == "apply":
            server = references.start("review", self.reference, self.out, self.environment, self._address)
            self.acknowledged |= send_decisions(wait_for_address(server), self.reference.answers)
            server.process.terminate()
            server.end()
        shutil.copytree(self.out, self.backup, symlinks=True)

    @property
    def _address(self) -> str:
        return self.store.address if self.store else ""

    def clear(self) -> None:
        """End every program and remove every file of the trial."""
        for program in self.made:
            program.clear()
        unmount(self.out)
        if self.store:
            self.store.close()
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.rmtree(self.backup, ignore_errors=True)
        for path in self.reference.folder.glob(f"{self.out.name}-*.log.*"):
            path.unlink()

    def start(self) -> Program | Submitted:
        """Start the program, here or on the worker."""
        reference, way = self.reference, self.trial.way
        self.made.append(
            Submitted(way, reference.worker, self.environment, reference.source, self.out)
            if way in SERVED
            else references.start(self.trial.stage, reference, self.out, self.environment, self._address)
        )
        return self.made[-1]

    def strike_once(self) -> None:
        """Start the program, strike at a random moment, and look at what is left."""
        program, trial = self.start(), self.trial
        host = self._await_moment(program)
        is_late = program.ended()
        if isinstance(program, Program):
            self._strike(program, host)
        else:
            program.kill()
            trial.done, trial.ended = "SIGKILL", "killed"
        if is_late:
            trial.late += 1
            trial.done += " (after its end)"
            return
        trial.kept.append(references.count_finished_steps(self.out))
        if trial.way in KILLED:
            trial.lost += [f"broken file: {path.name}" for path in references.find_broken_files(self.out)]

    def _await_moment(self, program: Program | Submitted) -> str:
        """Wait for the moment to strike; return the address of a review server that has answered."""
        rng, seconds, answers = self.rng, self.reference.seconds, self.reference.answers
        if self.trial.stage == "sweep":
            steps, part = rng.randrange(references.count_finished_steps(self.reference.results)), rng.random()
            before = references.count_finished_steps(self.out)
            while not program.ended() and references.count_finished_steps(self.out) < max(steps, before):
                time.sleep(0.02)
            # Before the first step the part is one of the start-up, which is the longest stretch of a run.
            _pause(program, part * (seconds / 2 if steps <= before else 1.0))
        elif self.trial.stage == "apply":
            _pause(program, rng.random() * 5.0)
        elif rng.random() < 0.2:
            _pause(program, rng.random() * 4.0)  # while the server starts
        elif isinstance(program, Program):
            host = wait_for_address(program)
            self.acknowledged |= send_decisions(host, answers[: rng.randrange(len(answers))])
            return host
        return ""

    def _strike(self, program: Program, host: str) -> None:
        """Do the harm, let a review continue, and note how the program ended."""
        trial, rng, answers = self.trial, self.rng, self.reference.answers
        if trial.way == "twice":
            trial.done = "the same again beside it"
            second = self.start()
            if trial.stage == "review" and isinstance(second, Program):
                self.acknowledged |= send_decisions(wait_for_address(second), answers)
                second.process.terminate()
            if (ended := second.end(self.patience)) not in ALLOWED:
                trial.ended, trial.said = f"second: {ended}", second.said()[-300:]
                return
        else:
            log = trial.way == "corrupted" and trial.stage != "sweep" and rng.random() < 0.8
            if self.store:
                self.store.answer(yes=False)
                trial.done = "the store does not answer"
            else:
                trial.done = strike(trial.way, program, self.out, rng, log=log)
        if trial.stage == "review" and not program.ended():
            self.acknowledged |= send_decisions(host or wait_for_address(program), answers)
            program.process.terminate()
        trial.ended, trial.said = program.end(self.patience), program.said()[-300:].strip()

    def repeat(self) -> list[str]:
        """Do the same again to its end; return what is wrong with what it ends with."""
        way, expected = self.trial.way, self.reference.swept
        if self.trial.stage == "sweep":
            again = self.start()
            if (end := again.end(self.patience)) != "survived":
                return [f"the repetition: {end}: {again.said()[-300:]}"]
            if way in SERVED:
                expected = {name: digest for name, digest in expected.items() if name in COMPARED}
            wrong = references.list_differences(expected, self.out / "runs" / "latest")
            wrong += self.store.find_broken() if self.store else []
            runs = [path for path in (self.out / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
            if way in KILLED and len(runs) > 1:
                wrong.append("a run folder beside the one to resume")
            return wrong
        wrong = self._finish(again=self.trial.stage == "review")
        if wrong and wrong[0].startswith("refused"):
            # The results are put back as from a backup: what a person does who was told that a file is damaged.
            for path in (
                *self.out.glob("decisions.sqlite*"),
                *self.out.glob("runs/*"),
                *self.out.glob("datasets"),
            ):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            shutil.copytree(self.backup, self.out, symlinks=True, dirs_exist_ok=True)
            self.acknowledged = set()
            wrong = self._finish(again=True)
        return wrong

    def _finish(self, *, again: bool) -> list[str]:
        """Check the log, send every decision again if asked, apply, and check the version."""
        reference, out = self.reference, self.out
        if wrong := self._find_wrong_with_log() or (self._review_again() if again else ""):
            return [wrong]
        applied = references.start("apply", reference, out, self.environment, self._address)
        if (end := applied.end(self.patience)) != "survived":
            return [f"{end}: {applied.said()[-300:]}"]
        if len(read_log(out)) != len(reference.answers):
            return ["decisions doubled"]
        broken = self.store.find_broken() if self.store else []
        return [*references.list_differences(reference.applied, out / "datasets"), *broken]

    def _find_wrong_with_log(self) -> str:
        try:
            actions = [row.action for row in read_log(self.out)]
        except LabelsweepError as error:
            return f"refused: {error}"
        missing, twice = len(self.acknowledged - set(actions)), len(actions) - len(set(actions))
        return f"{missing} acknowledged decisions lost, {twice} doubled" if missing or twice else ""

    def _review_again(self) -> str:
        """Send every decision again; return what is wrong."""
        server = references.start("review", self.reference, self.out, self.environment, self._address)
        try:
            if not (host := wait_for_address(server)):
                return f"{server.end()}: {server.said()[-300:]}"
            if len(send_decisions(host, self.reference.answers)) != len(self.reference.answers):
                return f"refused: decisions, by the server: {server.said()[-300:]}"
        finally:
            server.kill()
        return ""


def _pause(program: Program | Submitted, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not program.ended() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.02))
