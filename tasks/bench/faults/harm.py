"""What a campaign of faults does to a program that is running, and to the files that it leaves."""

import os
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tasks.bench.faults.programs import Program

# Where Debian's package libfaketime keeps what is loaded before a program that shall see another time.
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def strike(way: str, program: Program, out: Path, rng: random.Random, *, log: bool) -> str:
    """Do one kind of harm; say what was done.

    Args:
        way: One of `kill`, `terminate`, `clock`, `full`, `removed` and `corrupted`.
        log: Whether to corrupt the decisions' database rather than a file of the run.
    """
    if way == "terminate":  # as a service manager does
        program.process.terminate()
        return "SIGTERM"
    if way == "clock":
        days = rng.uniform(-400, 400)
        _clock_file(out).write_text(f"{days * 86_400:+.0f}\n")
        return f"the clock jumps by {days:+.1f} days"
    if way == "full":
        return _fill_disk(out, rng)
    return _harm_files(way, program, out, rng, log=log)


def _harm_files(way: str, program: Program, out: Path, rng: random.Random, *, log: bool) -> str:
    if way == "removed":
        if not (files := _files_under(out / "runs")):
            return "nothing to remove yet"
        path = rng.choice(files)
        path.unlink(missing_ok=True)
        return f"{path.name} removed"
    program.kill()
    if way == "kill":
        return "SIGKILL"
    if log:
        return _corrupt_log(out / "decisions.sqlite", rng)
    files = _files_under(out / "runs")
    return damage(rng.choice(files), rng) if files else "nothing to corrupt yet"


def _clock_file(out: Path) -> Path:
    """Return the file whose offset the programs of a trial add to the time."""
    return out.with_name(out.name + ".clock")


def set_clock(environment: Mapping[str, str], out: Path) -> dict[str, str]:
    """Return variables with which a program sees the time of the trial's clock."""
    _clock_file(out).write_text("+0\n")
    return {
        **environment,
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(_clock_file(out)),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


def _files_under(folder: Path) -> list[Path]:
    """Return the files under a folder in order, links and locks left out."""
    found = (path for path in folder.rglob("*") if not path.name.endswith((".lock", ".partial")))
    return sorted(path for path in found if path.is_file() and not path.is_symlink() and path.stat().st_size)


def damage(path: Path, rng: random.Random) -> str:
    """Damage one file: a bit, its end, or a stretch of zeros."""
    content = bytearray(path.read_bytes())
    way, place = rng.choice(("bit", "end", "zeros")), rng.randrange(len(content))
    if way == "bit":
        content[place] ^= 1 << rng.randrange(8)
    elif way == "end":
        del content[place:]
    else:
        content[place : place + 512] = bytes(len(content[place : place + 512]))
    path.write_bytes(content)
    return f"{path.name} damaged ({way} at {place})"


def _corrupt_log(path: Path, rng: random.Random) -> str:
    """Overwrite a random page of the decisions' database."""
    if not path.exists() or not path.stat().st_size:
        return "no log yet"
    content = bytearray(path.read_bytes())
    page = rng.randrange(max(1, len(content) // 4096))
    content[page * 4096 : page * 4096 + 4096] = rng.choice((bytes(4096), rng.randbytes(4096)))
    path.write_bytes(content)
    return f"page {page} of {path.name} overwritten"


def _fill_disk(out: Path, rng: random.Random) -> str:
    """Leave a few kilobytes of the file system that the results are on."""
    system = os.statvfs(out)
    used = (system.f_blocks - system.f_bfree) * system.f_frsize
    left = rng.randrange(0, 160) * 1024
    if not mount(out, max(used + left, 4096)):
        return "no file system could be made"
    return f"{left // 1024} kB left on the disk"


def mount(folder: Path, size: int) -> bool:
    """Put a file system of `size` bytes in memory at a folder, or change the size of the one there; False where it cannot."""
    options = f"size={size}" + (",remount" if os.path.ismount(folder) else "")
    command = ["/usr/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def unmount(folder: Path) -> None:
    """Take the file system away again."""
    if os.path.ismount(folder):
        subprocess.run(["/usr/bin/umount", "--lazy", str(folder)], capture_output=True, check=False)  # noqa: S603
