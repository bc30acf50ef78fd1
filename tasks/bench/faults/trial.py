"""One trial of a campaign of faults: strike a program, start the same again, and compare."""

import random
import shutil
from typing import Literal

from pydantic import BaseModel

from tasks.bench.faults.harm import DEVICES, Device, corrupt_something, remove_file
from tasks.bench.faults.programs import PATIENCE, Program, Submitted, wait_until
from tasks.bench.faults.reference import Reference, count_finished_steps, find_broken_files, list_differences
from tasks.bench.faults.reviewer import send_decisions, wait_for_address
from tasks.errors import LabelsweepError
from tasks.review.log import read_log

Way = Literal[
    "kill", "run", "worker", "both", "terminate", "full", "clock", "twice", "removed", "corrupted", "store"
]
Stage = Literal["sweep", "review", "apply"]
# What is struck in which way how often.
Plan = tuple[Way, Stage, int]
SERVED = ("run", "worker", "both")
KILLED = ("kill", *SERVED)
# Ends that a program may have when something is done to it.
ALLOWED = ("survived", "refused", "killed")
# What is compared of a worker's run: its other files name another place than the command's.
COMPARED = ("scores.parquet", "queue.parquet", "queue.csv")
# A run that takes this many times as long as an undisturbed one hangs.
TIMES_AS_LONG = 20.0


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


def run_trial(reference: Reference, number: int, plan: Plan, seed: int) -> Trial:
    """Strike one program, or several one after the other, and start it again.

    Args:
        reference: The data set and what undisturbed commands make of it.
        number: Number of the trial, which with the seed decides the moments.
    """
    way, stage, strikes = plan
    room = _Room(reference, Trial(number=number, way=way, stage=stage), seed)
    try:
        room.prepare()
        for _ in range(strikes):
            room.strike_once()
        room.device.mend()
        room.trial.lost += room.repeat()
    finally:
        room.clear()
    return room.trial


class _Room:
    """Where a trial is made: the same program is started again and again, in the same folder of results.

    The folder is empty for a sweep and has a finished run otherwise. A disk to be filled is one of its own. Every fourth
    sweep of a command does without a Prefect server.
    """

    def __init__(self, reference: Reference, trial: Trial, seed: int) -> None:
        self.reference, self.trial = reference, trial
        self.rng = random.Random(f"{seed}-{trial.number}")  # noqa: S311 (no secret)
        self.device = DEVICES.get(trial.way, Device)(reference.folder / f"trial-{trial.number}")
        self.out, self.environment = self.device.out, reference.environment | self.device.environment
        if trial.stage == "sweep" and trial.way not in KILLED and trial.number % 4 == 0:
            del self.environment["PREFECT_API_URL"]
        self.backup = self.out.with_name(f"{self.out.name}-backup")
        self.made: list[Program | Submitted] = []
        self.acknowledged: set[str] = set()
        self.patience = max(PATIENCE, TIMES_AS_LONG * reference.seconds)

    def prepare(self) -> None:
        """Make what the program begins with; of an application the decisions too."""
        self.out.mkdir(parents=True, exist_ok=True)
        if self.trial.stage != "sweep":
            shutil.copytree(self.reference.results, self.out, symlinks=True, dirs_exist_ok=True)
        if self.trial.stage == "apply":
            server = self.start_command("review")
            self._decide(wait_for_address(server))
            server.process.terminate()
            server.end()
        shutil.copytree(self.out, self.backup, symlinks=True)

    def clear(self) -> None:
        """End every program and remove every file of the trial."""
        for program in self.made:
            program.clear()
        self.device.close()
        for folder in (self.out, self.backup):
            shutil.rmtree(folder, ignore_errors=True)
        for path in self.reference.folder.glob(f"{self.out.name}-*.log.*"):
            path.unlink()

    def start_command(self, stage: str) -> Program:
        """Start a command in the folder of the trial."""
        program = self.reference.start(stage, self.out, self.environment, self.device.address)
        self.made.append(program)
        return program

    def start(self) -> Program | Submitted:
        """Start the program that is struck, here or on the worker."""
        reference, way = self.reference, self.trial.way
        if way not in SERVED:
            return self.start_command(self.trial.stage)
        self.made.append(Submitted(way, reference.worker, self.environment, reference.source, self.out))
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
        trial.kept.append(count_finished_steps(self.out))
        if trial.way in KILLED:
            trial.lost += [f"broken file: {path.name}" for path in find_broken_files(self.out)]

    def _await_moment(self, program: Program | Submitted) -> str:
        """Wait for the moment to strike; return the address of a review server that has answered."""
        rng, seconds, answers = self.rng, self.reference.seconds, self.reference.answers
        if self.trial.stage == "review" and isinstance(program, Program) and rng.random() >= 0.2:
            host = wait_for_address(program)
            self._decide(host, rng.randrange(len(answers)))
            return host
        if self.trial.stage == "sweep":
            steps, before = rng.randrange(count_finished_steps(self.reference.results)), self._count_steps()
            wait_until(lambda: program.ended() or self._count_steps() >= max(steps, before), self.patience)
            # Before the first step the part is one of the start-up, which is the longest stretch of a run.
            most = seconds / 2 if steps <= before else 1.0
        else:
            most = 5.0 if self.trial.stage == "apply" else 4.0  # while the server starts
        wait_until(program.ended, rng.random() * most)
        return ""

    def _count_steps(self) -> int:
        return count_finished_steps(self.out)

    def _decide(self, host: str, most: int | None = None) -> None:
        self.acknowledged |= send_decisions(host, self.reference.answers[:most])

    def _strike(self, program: Program, host: str) -> None:
        """Do the harm, let a review continue, and note how the program ended."""
        trial = self.trial
        if trial.way == "twice":
            trial.done = "the same again beside it"
            second = self.start_command(trial.stage)
            if trial.stage == "review":
                self._decide(wait_for_address(second))
                second.process.terminate()
            if (ended := second.end(self.patience)) not in ALLOWED:
                trial.ended, trial.said = f"second: {ended}", second.said()[-300:]
                return
        else:
            trial.done = self._harm(program)
        if trial.stage == "review" and not program.ended():
            self._decide(host or wait_for_address(program))
            program.process.terminate()
        trial.ended, trial.said = program.end(self.patience), program.said()[-300:].strip()

    def _harm(self, program: Program) -> str:
        """Do what the trial is for; return what was done."""
        trial, rng = self.trial, self.rng
        if trial.way in DEVICES:
            return self.device.strike(rng)
        if trial.way == "removed":
            return remove_file(self.out, rng)
        if trial.way == "terminate":  # as a service manager does
            program.process.terminate()
            return "SIGTERM"
        program.kill()
        if trial.way == "kill":
            return "SIGKILL"
        return corrupt_something(self.out, rng, log=trial.stage != "sweep" and rng.random() < 0.8)

    def repeat(self) -> list[str]:
        """Do the same again to its end; return what is wrong with what it ends with."""
        if self.trial.stage == "sweep":
            return self._sweep_again()
        wrong = self._finish(again=self.trial.stage == "review")
        if wrong and wrong[0].startswith("refused"):
            self._restore()
            wrong = self._finish(again=True)
        return wrong

    def _sweep_again(self) -> list[str]:
        way, expected = self.trial.way, self.reference.swept
        again = self.start()
        if (end := again.end(self.patience)) != "survived":
            return [f"the repetition: {end}: {again.said()[-300:]}"]
        if way in SERVED:
            expected = {name: digest for name, digest in expected.items() if name in COMPARED}
        wrong = list_differences(expected, self.out / "runs" / "latest")
        wrong += self.device.find_broken()
        runs = [path for path in (self.out / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
        return [*wrong, *(["a run folder beside the one to resume"] if way in KILLED and runs[1:] else [])]

    def _restore(self) -> None:
        """Put the results back as from a backup, which a person does who reads that a file is damaged."""
        for pattern in ("decisions.sqlite*", "runs/*", "latest", "datasets"):
            for path in self.out.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(self.backup, self.out, symlinks=True, dirs_exist_ok=True)
        self.acknowledged = set()

    def _finish(self, *, again: bool) -> list[str]:
        """Check the log, send every decision again if asked, apply, and check the version."""
        if wrong := self._check_log() or (self._review_again() if again else ""):
            return [wrong]
        applied = self.start_command("apply")
        if (end := applied.end(self.patience)) != "survived":
            return [f"{end}: {applied.said()[-300:]}"]
        if len(read_log(self.out)) != len(self.reference.answers):
            return ["decisions doubled"]
        differences = list_differences(self.reference.applied, self.out / "datasets")
        return [*differences, *self.device.find_broken()]

    def _check_log(self) -> str:
        """Return what is wrong with the log of decisions."""
        try:
            actions = [row.action for row in read_log(self.out)]
        except LabelsweepError as error:
            return f"refused: {error}"
        missing, twice = len(self.acknowledged - set(actions)), len(actions) - len(set(actions))
        return f"{missing} acknowledged decisions lost, {twice} doubled" if missing or twice else ""

    def _review_again(self) -> str:
        """Send every decision again; return what is wrong."""
        server, answers = self.start_command("review"), self.reference.answers
        if not (host := wait_for_address(server)):
            return f"{server.end()}: {server.said()[-300:]}"
        sent = len(send_decisions(host, answers))
        server.kill()
        return "" if sent == len(answers) else f"refused: decisions, by the server: {server.said()[-300:]}"
