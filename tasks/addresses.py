"""Addresses of data and results: the file system behind one, the local folder that stands for one, and secrets in them.

They are in reports, logs, run records and artifacts, so a secret may not be in them.
"""

import hashlib
import os
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any, cast

from tasks.errors import InputError

# Names where results are, on a worker and for every command.
OUT_VARIABLE = "LABELSWEEP_OUT"

# Package names on the index, where they differ from the module that fsspec would import, and our own extras.
_INSTALL = {"s3fs": "'labelsweep[s3]' (or s3fs)", "aiohttp": "aiohttp", "http": "aiohttp"}

# What follows `user:` up to the `@`; a port and a path, which may hold an `@` as well, are none.
_PASSWORD = re.compile(r"(?<=://)([^/:@\s]*):(?!\d{1,5}/)([^@\s]+)@")
# Names of query fields whose values let whoever has the address in: signed links of the stores, tokens of others.
_FIELD_NAMES = "signature|token|secret|passw|credential|api-?_?key|access-?_?key|sig|auth"
_SECRET_FIELD = re.compile(rf"([?&][\w.-]*(?:{_FIELD_NAMES})[\w.-]*=)([^&\s]+)", re.IGNORECASE)


def make_no_secret_pattern() -> str:
    """Return a pattern for a JSON schema that text matches which holds no secret; browsers read it too.

    >>> found = re.compile(make_no_secret_pattern())
    >>> [bool(found.search(text)) for text in ("s3://bucket/x.csv", "s3://me:word@bucket/x.csv", "https://s/x?SIG=f00")]
    [True, False, False]
    """
    # Browsers know no flag for letters of either case within a pattern, nor a look behind of their own kind.
    field = re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", _FIELD_NAMES)
    password, value = r"://[^/:@\s]*:(?!\d{1,5}/)[^@\s]+@", r"[\w.\-]*=[^&\s]"
    return rf"^(?![\s\S]*{password})(?![\s\S]*[?&][\w.\-]*(?:{field}){value})"


def redact(text: str) -> str:
    """Return text with the secrets of the addresses in it blotted out.

    >>> redact("s3://AKIA:wJal/rXUt@bucket/x.csv"), redact("http://host:8080/a@b.csv?page=2")
    ('s3://AKIA:***@bucket/x.csv', 'http://host:8080/a@b.csv?page=2')
    >>> redact("https://store/x.csv?X-Amz-Signature=f00&sig=b4r")
    'https://store/x.csv?X-Amz-Signature=***&sig=***'
    """
    return _SECRET_FIELD.sub(
        r"\1***", "::".join(_PASSWORD.sub(r"\1:***@", part) for part in text.split("::"))
    )


def check_no_secret(address: str) -> None:
    """Refuse an address with a password, key or signature in it.

    Raises:
        InputError: There is one.
    """
    if "://" in address and redact(address) != address:
        raise InputError(
            "holds a password or signature, which would appear in the report and in the run's records",
            where=redact(address),
            fix="name it without, and give the secret in the environment (AWS_ACCESS_KEY_ID and the like, or fsspec's "
            "FSSPEC_HTTPS, PGPASSWORD or ~/.pgpass); what a signed link leads to, download first",
        )


def check_one_address(out: str, publish: str) -> None:
    """Refuse two addresses for the results of one run.

    Raises:
        InputError: They are two.
    """
    if publish.rstrip("/") != out.rstrip("/"):
        fix = "name one of them, or a local folder for --out"
        raise InputError(f"is another address than --publish {publish}", where=f"--out {out}", fix=fix)


def open_address(address: str) -> tuple[Any, str]:
    """Return the file system of an address or a local path, and the path in it.

    Raises:
        InputError: There is no such kind of address, an archive in it is damaged, or a package is missing to reach it.
    """
    import fsspec  # noqa: PLC0415 (half a second to import, and only needed where there are data)
    from fsspec.registry import known_implementations  # noqa: PLC0415

    if "://" not in address:
        local = fsspec.get_filesystem_class("file")()
        return local, local._strip_protocol(address)
    scheme = address.split("://", 1)[0].rsplit("::", 1)[-1]
    try:
        return cast("tuple[Any, str]", fsspec.core.url_to_fs(address))
    except ImportError as error:
        known = known_implementations.get(scheme, {})
        module = str(known.get("class", scheme)).split(".")[0]
        package = _INSTALL.get(scheme) or ("" if module == "fsspec" else _INSTALL.get(module, module))
        fix = f"pip install {package}" if package else str(known.get("err", error))
        raise InputError(
            f"{scheme}:// needs a package that is not installed", where=address, fix=fix
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise InputError(
            f"the archive cannot be read ({error})",
            where=address,
            fix="check it, or unpack it and name the file",
        ) from error
    except ValueError as error:
        raise InputError(
            f"unknown kind of address '{scheme}://'",
            where=address,
            fix="use a local path, or a URL that fsspec knows, such as s3://bucket/prefix",
        ) from error


def work_folder(address: str) -> Path:
    """Return the folder in which runs work whose results go to `address`: always the same one for an address.

    It is in the folder that `LABELSWEEP_WORK` names, or in `~/.cache/labelsweep`.

    >>> work_folder("s3://team/labels") == work_folder("s3://team/labels/")
    True
    """
    root = Path(os.environ.get("LABELSWEEP_WORK") or Path.home() / ".cache" / "labelsweep")
    return root / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:12]
