"""What a campaign of faults does to the clock, the disk, the files and the store of a program that is running."""

import hashlib
import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

from tasks.addresses import work_folder
from tasks.bench.helpers import import_test_module
from tasks.errors import InputError

# Where Debian's package libfaketime keeps what is loaded into a program so that it sees another time.
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PAGE = 4096
BUCKET = "labels"
ROOMY = 64 * 2**20


class Device:
    """What the programs of a trial stand on. This one never fails.

    Attributes:
        out: Folder in which they work; their results are there or at `address`.
        environment: Variables of theirs.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.address = out, ""
        self.environment: dict[str, str] = {}

    def strike(self, rng: random.Random) -> str:
        """Let it fail; return what was done."""
        raise NotImplementedError

    def mend(self) -> None:
        """Let it work again."""

    def find_broken(self) -> list[str]:
        """Return what is wrong with what it holds."""
        return []

    def close(self) -> None:
        """Take it away."""


class Clock(Device):
    """The time that the programs see."""

    def __init__(self, out: Path) -> None:
        super().__init__(out)
        if not FAKETIME.exists():
            raise InputError("the clock needs libfaketime", fix="apt-get install libfaketime")
        self._offset = out.with_suffix(".clock")
        self._offset.write_text("+0\n")
        switches = dict.fromkeys(("NO_CACHE", "DONT_FAKE_MONOTONIC", "DONT_RESET"), "1")
        self.environment = {f"FAKETIME_{name}": value for name, value in switches.items()}
        self.environment |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self._offset)}

    def strike(self, rng: random.Random) -> str:
        """Jump by up to four hundred days."""
        days = rng.uniform(-400, 400)
        self._offset.write_text(f"{days * 86_400:+.0f}\n")
        return f"the clock jumps by {days:+.1f} days"


class Disk(Device):
    """A file system in memory that fills up."""

    def __init__(self, out: Path) -> None:
        super().__init__(out)
        out.mkdir()
        self.mend()

    def strike(self, rng: random.Random) -> str:
        """Leave a few kilobytes."""
        system = os.statvfs(self.out)
        left = rng.randrange(0, 160) * 1024
        self._mount(max((system.f_blocks - system.f_bfree) * system.f_frsize + left, PAGE))
        return f"{left // 1024} kB left on the disk"

    def mend(self) -> None:
        """Make room."""
        self._mount(ROOMY)

    def _mount(self, size: int) -> None:
        options = f"size={size}" + (",remount" if os.path.ismount(self.out) else "")
        if _run("/usr/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.out)):
            raise InputError(
                "no file system can be made", where=str(self.out), fix="run the campaign as root"
            )

    def close(self) -> None:
        """Take the file system away."""
        _run("/usr/bin/umount", "--lazy", str(self.out))


class Store(Device):
    """A real S3 API with an empty bucket, behind a proxy that can cut every connection."""

    def __init__(self, out: Path) -> None:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 (belongs to the dev extra)
        from s3fs import S3FileSystem  # type: ignore[import-untyped]  # noqa: PLC0415

        place = f"{BUCKET}/{out.name}"
        super().__init__(out / work_folder(f"s3://{place}").name)
        self._server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        port = self._server.get_host_and_port()[1]
        self._proxy: Any = import_test_module("remote", "dropping").Dropping(port)
        self._place, self.address = place, f"s3://{place}"
        keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")
        self.environment = {"LABELSWEEP_WORK": str(out), "AWS_DEFAULT_REGION": "us-east-1", **keys}
        self.environment |= {"AWS_ENDPOINT_URL": self._proxy.url, "AWS_MAX_ATTEMPTS": "1"}
        direct = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "test", "secret": "test"}
        self._files: Any = S3FileSystem(**direct, use_listings_cache=False, skip_instance_cache=True)
        self._files.makedirs(BUCKET, exist_ok=True)  # of the last trial: moto keeps it for the process

    def strike(self, _: random.Random) -> str:
        """Cut all connections."""
        self._proxy.allowed = 0
        return "the store does not answer"

    def mend(self) -> None:
        """Let connections through."""
        self._proxy.allowed = None

    def find_broken(self) -> list[str]:
        """Return what is wrong with the folders there that have a manifest, or that no folder has one."""
        paths = self._files.find(self._place)
        found: dict[str, bytes] = self._files.cat(paths) if paths else {}
        manifests = [key for key in found if key.endswith("/manifest.json")]
        wrong = [
            f"{name} on the store differs"
            for key in manifests
            for name, entry in json.loads(found[key])["files"].items()
            if hashlib.sha256(found.get(f"{key[:-13]}{name}", b"")).hexdigest() != entry["sha256"]
        ]
        return wrong if manifests else ["nothing was published"]

    def close(self) -> None:
        """Stop the server."""
        self._proxy.close()
        self._server.stop()


DEVICES: dict[str, type[Device]] = {"clock": Clock, "full": Disk, "store": Store}


def corrupt_something(out: Path, rng: random.Random, *, log: bool) -> str:
    """Damage the log of decisions or a file of the runs; return what was done."""
    if log:
        return damage_page(out / "decisions.sqlite", rng)
    path = choose_file(out, rng)
    return damage(path, rng) if path else "no file yet"


def remove_file(out: Path, rng: random.Random) -> str:
    """Remove a file of the runs; return what was done."""
    if not (path := choose_file(out, rng)):
        return "no file yet"
    path.unlink(missing_ok=True)
    return f"{path.name} removed"


def choose_file(out: Path, rng: random.Random) -> Path | None:
    """Return a file of the runs; None where no file is written yet."""
    paths = (path for path in (out / "runs").rglob("*") if not path.name.endswith((".lock", ".partial")))
    files = [path for path in paths if path.is_file() and not path.is_symlink() and path.stat().st_size]
    return rng.choice(sorted(files)) if files else None


def damage(path: Path, rng: random.Random) -> str:
    """Damage one file: a bit, its end, or a stretch of zeros; return what was done."""
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


def damage_page(path: Path, rng: random.Random) -> str:
    """Overwrite a random page of a database; return what was done."""
    content = path.read_bytes() if path.exists() else b""
    if not content:
        return "no log yet"
    page = rng.randrange(max(1, len(content) // PAGE))
    written = rng.choice((bytes(PAGE), rng.randbytes(PAGE)))
    path.write_bytes(content[: page * PAGE] + written + content[(page + 1) * PAGE :])
    return f"page {page} of {path.name} overwritten"


def _run(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603 (our own words)
