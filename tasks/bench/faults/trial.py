"""One trial of a campaign of faults: strike a program, start the same again, and compare."""

import random
import shutil

from tasks.bench.faults.harm import Place, choose_file, damage_file, remove_file
from tasks.bench.faults.programs import PATIENCE, Program, SubmittedRun, wait_until
from tasks.bench.faults.reference import Reference, count_finished_steps, find_broken_files, list_differences
from tasks.bench.faults.reviewer import send_decisions, wait_for_address
from tasks.bench.tally import Row
from tasks.errors import LabelsweepError
from tasks.review.log import read_log

ON_WORKER = ("run", "worker", "both")
KILLED = ("kill", *ON_WORKER)
# Ends that a program may have when something is done to it.
ALLOWED = ("survived", "refused", "killed")
# What is compared of a worker's run: its other files name another place than the command's.
COMPARED = ("scores.parquet", "queue.parquet", "queue.csv")
# A run that takes this many times as long as an undisturbed one hangs.
TIMES_AS_LONG = 20.0


class Trial:
    """The same program is struck, and started again in the same folder of results.

    The folder is empty for a sweep and has a finished run otherwise.

    Args:
        reference: The data set and what undisturbed commands make of it.
        place: Where the programs work; it may fail.
        way: What is done.
        stage: What it is done to: a `sweep`, a `review`, or to `apply` decisions.
        seed: With the same one, the moments are the same.

    Attributes:
        done: What was done last.
        ended: How the struck program ended: survived, refused (one line), killed, or what is wrong with its end.
        kept: Finished steps at each strike that came before the end.
        said: What that program said on standard error.
        late: Strikes that came after it.
        lost: What was wrong in the end; empty where all is well.
    """

    def __init__(self, reference: Reference, place: Place, way: str, stage: str, seed: str) -> None:
        self.reference, self.place, self.way, self.stage = reference, place, way, stage
        self.rng = random.Random(seed)  # noqa: S311 (no secret)
        self.out, self.environment = place.out, reference.environment | place.environment
        # Every fourth sweep does without a Prefect server.
        if stage == "sweep" and way not in KILLED and self.rng.random() < 0.25:
            del self.environment["PREFECT_API_URL"]
        self.backup = self.out.with_name(f"{self.out.name}-backup")
        self.patience = max(PATIENCE, TIMES_AS_LONG * reference.seconds)
        self.programs: list[Program | SubmittedRun] = []
        self.acknowledged: set[str] = set()
        self.done, self.ended, self.said, self.late = "", "", "", 0
        self.kept: list[int] = []
        self.lost: list[str] = []

    def run(self, strikes: int) -> Row:
        """Strike so often, and start the same again; return what was seen."""
        try:
            self._prepare()
            for _ in range(strikes):
                self._strike_once()
            self.place.mend()
            self.lost += self._sweep_again() if self.stage == "sweep" else self._finish_review()
        finally:
            self._clear()
        wrong = [*([] if self.ended in ALLOWED else [self.ended]), *self.lost]
        counts = {"kept": self.kept, "late": self.late, "lost": self.lost, "wrong": wrong}
        about = {"done": self.done, "ended": self.ended, "said": self.said}
        return {"way": self.way, "stage": self.stage, **about, **counts}

    def _prepare(self) -> None:
        """Make what the program begins with; of an application the decisions too."""
        self.out.mkdir(parents=True, exist_ok=True)
        if self.stage != "sweep":
            shutil.copytree(self.reference.results, self.out, symlinks=True, dirs_exist_ok=True)
        if self.stage == "apply":
            server = self._start_command("review")
            self._decide(wait_for_address(server))
            server.process.terminate()
            server.end()
        shutil.copytree(self.out, self.backup, symlinks=True)

    def _clear(self) -> None:
        """End every program and remove every file of the trial."""
        for program in self.programs:
            program.clear()
        for folder in (self.out, self.backup):
            shutil.rmtree(folder, ignore_errors=True)
        for path in self.reference.folder.glob(f"{self.out.name}-*.log.*"):
            path.unlink()

    def _start_command(self, stage: str) -> Program:
        program = self.reference.start(stage, self.out, self.environment, self.place.address)
        self.programs.append(program)
        return program

    def _start(self) -> Program | SubmittedRun:
        """Start the program that is struck, here or on the worker."""
        if self.way not in ON_WORKER:
            return self._start_command(self.stage)
        url, what = self.environment["PREFECT_API_URL"], {"source": str(self.reference.source)}
        run = SubmittedRun(self.way, self.reference.worker, url, **what, out=str(self.out))
        self.programs.append(run)
        return run

    def _strike_once(self) -> None:
        """Start the program, strike at a random moment, and look at what is left."""
        program = self._start()
        host = self._await_moment(program)
        is_late = program.has_ended()
        if isinstance(program, Program):
            self._strike(program, host)
        else:
            program.kill()
            self.done, self.ended = "SIGKILL", "killed"
        if is_late:
            self.late += 1
            self.done += " (after its end)"
            return
        self.kept.append(count_finished_steps(self.out))
        if self.way in KILLED:
            self.lost += [f"broken file: {path.name}" for path in find_broken_files(self.out)]

    def _await_moment(self, program: Program | SubmittedRun) -> str:
        """Wait for the moment to strike; return the address of a review server that has answered."""
        rng, seconds, answers = self.rng, self.reference.seconds, self.reference.answers
        if self.stage == "review" and isinstance(program, Program) and rng.random() >= 0.2:
            host = wait_for_address(program)
            self._decide(host, rng.randrange(len(answers)))
            return host
        most = 5.0 if self.stage == "apply" else 4.0  # while the server starts
        if self.stage == "sweep":
            before = count_finished_steps(self.out)
            steps = max(before, rng.randrange(count_finished_steps(self.reference.results)))
            wait_until(lambda: program.has_ended() or count_finished_steps(self.out) >= steps, self.patience)
            # Before the first step the part is one of the start-up, which is the longest stretch of a run.
            most = seconds / 2 if steps == before else 1.0
        wait_until(program.has_ended, rng.random() * most)
        return ""

    def _decide(self, host: str, most: int | None = None) -> None:
        self.acknowledged |= send_decisions(host, self.reference.answers[:most])

    def _strike(self, program: Program, host: str) -> None:
        """Do the harm, let a review continue, and note how the program ended."""
        if self.way == "twice":
            self.done = "the same again beside it"
            second = self._start_command(self.stage)
            if self.stage == "review":
                self._decide(wait_for_address(second))
                second.process.terminate()
            if (ended := second.end(self.patience)) not in ALLOWED:
                self.ended, self.said = f"second: {ended}", second.read_errors()
                return
        else:
            self.done = self._harm(program)
        if self.stage == "review" and not program.has_ended():
            self._decide(host or wait_for_address(program))
            program.process.terminate()
        self.ended, self.said = program.end(self.patience), program.read_errors()

    def _harm(self, program: Program) -> str:
        """Do what the trial is for; return what was done."""
        if self.way == "terminate":  # as a service manager does
            program.process.terminate()
            return "SIGTERM"
        if self.way == "kill":
            program.kill()
            return "SIGKILL"
        if self.way == "removed":
            return remove_file(choose_file(self.out, self.rng), self.rng)
        if self.way == "corrupted":
            program.kill()
            is_log = self.stage != "sweep" and self.rng.random() < 0.8
            path = self.out / "decisions.sqlite" if is_log else choose_file(self.out, self.rng)
            return damage_file(path, self.rng)
        return self.place.strike(self.rng)

    def _sweep_again(self) -> list[str]:
        """Sweep again to the end; return what is wrong with the results."""
        expected, again = self.reference.swept, self._start()
        if (end := again.end(self.patience)) != "survived":
            return [f"the repetition: {end}: {again.read_errors()[-300:]}"]
        if self.way in ON_WORKER:
            expected = {name: digest for name, digest in expected.items() if name in COMPARED}
        wrong = list_differences(expected, self.out / "runs" / "latest") + self.place.find_broken()
        runs = [path for path in (self.out / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
        return [
            *wrong,
            *(["a run folder beside the one to resume"] if self.way in KILLED and runs[1:] else []),
        ]

    def _finish_review(self) -> list[str]:
        """Decide again, where it was struck, and apply; put the backup back first where damage is noticed."""
        wrong = self._finish(again=self.stage == "review")
        if wrong and wrong[0].startswith("refused"):
            self._restore()
            wrong = self._finish(again=True)
        return wrong

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
        applied = self._start_command("apply")
        if (end := applied.end(self.patience)) != "survived":
            return [f"{end}: {applied.read_errors()[-300:]}"]
        if len(read_log(self.out)) != len(self.reference.answers):
            return ["decisions doubled"]
        return list_differences(self.reference.applied, self.out / "datasets") + self.place.find_broken()

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
        server, answers = self._start_command("review"), self.reference.answers
        if not (host := wait_for_address(server)):
            return f"{server.end()}: {server.read_errors()[-300:]}"
        sent = len(send_decisions(host, answers))
        server.kill()
        return (
            ""
            if sent == len(answers)
            else f"refused: decisions, by the server: {server.read_errors()[-300:]}"
        )
