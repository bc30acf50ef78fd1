"""Where the programs of a trial work, and what a campaign of faults does to its clock, disk, store and files."""

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.addresses import work_folder
from tasks.bench.helpers import import_test_module
from tasks.errors import InputError

# Where Debian's package libfaketime keeps what is loaded into a program so that it sees another time.
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PAGE = 4096
BUCKET = "labels"
ROOMY = 64 * 2**20


@dataclass
class Place:
    """Where the programs of a trial work.

    Attributes:
        out: Their folder; their results are there or at `address`.
        environment: Variables of theirs.
        strike: Lets it fail; returns what was done.
        mend: Lets it work again.
        find_broken: Returns what is wrong with what it holds.
    """

    out: Path
    address: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    strike: Callable[[random.Random], str] = lambda _: "nothing"
    mend: Callable[[], None] = lambda: None
    find_broken: Callable[[], list[str]] = list


@contextmanager
def use_folder(out: Path) -> Iterator[Place]:
    """Yield a folder that never fails."""
    yield Place(out)


@contextmanager
def use_clock(out: Path) -> Iterator[Place]:
    """Yield a folder whose programs see a time that jumps by up to four hundred days."""
    if not FAKETIME.exists():
        raise InputError("the clock needs libfaketime", fix="apt-get install libfaketime")
    offset = out.with_suffix(".clock")
    offset.write_text("+0\n")

    def jump(rng: random.Random) -> str:
        days = rng.uniform(-400, 400)
        offset.write_text(f"{days * 86_400:+.0f}\n")
        return f"the clock jumps by {days:+.1f} days"

    switches = {f"FAKETIME_{name}": "1" for name in ("NO_CACHE", "DONT_FAKE_MONOTONIC", "DONT_RESET")}
    paths = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(offset)}
    yield Place(out, environment=switches | paths, strike=jump)


@contextmanager
def use_disk(out: Path) -> Iterator[Place]:
    """Yield a file system in memory that fills up to the last kilobytes."""

    def mount(size: int) -> None:
        options = f"size={size}" + (",remount" if os.path.ismount(out) else "")
        command = ["/usr/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", str(out)]
        if subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603 (our own words)
            fix = "run the campaign as root"
            raise InputError("no file system can be made", where=str(out), fix=fix)

    def fill(rng: random.Random) -> str:
        system, left = os.statvfs(out), rng.randrange(0, 160) * 1024
        mount(max((system.f_blocks - system.f_bfree) * system.f_frsize + left, PAGE))
        return f"{left // 1024} kB left on the disk"

    out.mkdir()
    mount(ROOMY)
    try:
        yield Place(out, strike=fill, mend=lambda: mount(ROOMY))
    finally:
        subprocess.run(["/usr/bin/umount", "--lazy", str(out)], check=False)  # noqa: S603


@contextmanager
def use_store(out: Path) -> Iterator[Place]:
    """Yield a real S3 API with an empty bucket, behind a proxy that can cut every connection."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 (belongs to the dev extra)
    from s3fs import S3FileSystem  # type: ignore[import-untyped]  # noqa: PLC0415

    place = f"{BUCKET}/{out.name}"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    proxy = import_test_module("remote", "dropping").Dropping(port)
    direct = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "test", "secret": "test"}
    files = S3FileSystem(**direct, use_listings_cache=False, skip_instance_cache=True)
    files.makedirs(BUCKET, exist_ok=True)  # of the last trial: moto keeps it for the process

    def cut(_: random.Random) -> str:
        proxy.allowed = 0
        return "the store does not answer"

    def mend() -> None:
        proxy.allowed = None

    def find_broken() -> list[str]:
        paths = files.find(place)
        found: dict[str, bytes] = files.cat(paths) if paths else {}
        manifests = [key for key in found if key.endswith("/manifest.json")]
        wrong = [
            f"{name} on the store differs"
            for key in manifests
            for name, entry in json.loads(found[key])["files"].items()
            if hashlib.sha256(found.get(f"{key[:-13]}{name}", b"")).hexdigest() != entry["sha256"]
        ]
        return wrong if manifests else ["nothing was published"]

    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")
    variables = {"LABELSWEEP_WORK": str(out), "AWS_DEFAULT_REGION": "us-east-1", **keys}
    variables |= {"AWS_ENDPOINT_URL": proxy.url, "AWS_MAX_ATTEMPTS": "1"}
    work = out / work_folder(f"s3://{place}").name
    try:
        yield Place(work, f"s3://{place}", variables, cut, mend, find_broken)
    finally:
        proxy.close()
        server.stop()


PLACES = {"clock": use_clock, "full": use_disk, "store": use_store}


def choose_file(out: Path, rng: random.Random) -> Path | None:
    """Return a file of the runs; None where no file is written yet."""
    paths = (path for path in (out / "runs").rglob("*") if not path.name.endswith((".lock", ".partial")))
    files = [path for path in paths if path.is_file() and not path.is_symlink() and path.stat().st_size]
    return rng.choice(sorted(files)) if files else None


def remove_file(path: Path | None, _: random.Random) -> str:
    """Remove a file; return what was done."""
    if path is None:
        return "no file yet"
    path.unlink(missing_ok=True)
    return f"{path.name} removed"


def damage_file(path: Path | None, rng: random.Random) -> str:
    """Damage one file: a bit, its end, or a stretch of zeros; of a database overwrite a page; return what was done."""
    content = bytearray(path.read_bytes() if path is not None and path.exists() else b"")
    if path is None or not content:
        return "no file yet"
    place = rng.randrange(len(content))
    if path.suffix == ".sqlite":
        way, place = "page", place - place % PAGE
        content[place : place + PAGE] = rng.choice((bytes(PAGE), rng.randbytes(PAGE)))
    elif (way := rng.choice(("bit", "end", "zeros"))) == "end":
        del content[place:]
    elif way == "bit":
        content[place] ^= 1 << rng.randrange(8)
    else:
        content[place : place + 512] = bytes(len(content[place : place + 512]))
    path.write_bytes(content)
    return f"{path.name} damaged ({way} at {place})"
