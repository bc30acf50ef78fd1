"""The decisions of several machines on one object store.

A database cannot live there, so each machine keeps its own log, and publishes all of it as `decisions/<machine>.parquet`, in one
piece. Before a machine uses its log it adds what the others have published. Nothing is lost where two publish at once, and the
same decisions again change nothing.
"""

import io
import secrets
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.review.exchange.export import SCHEMA, list_decision_rows
from tasks.review.log import COLUMNS, Decision, DecisionLog, log_path, read_log
from tasks.runs.remote import list_there, read_there, write_there
from tasks.storage import read_parquet, write_text

_MACHINE = "machine"
_PUBLISHED = "decisions.published"


def fetch_decisions(out: Path, address: str) -> int:
    """Add the decisions that other machines have published to the log under `out`; return how many were new.

    Raises:
        InputError: What is there are no decisions.
        LabelsweepError: The store could not be read.
    """
    own = f"decisions/{_name_machine(out)}.parquet"
    names = [name for name in list_there(address, "decisions/*.parquet") if name != own]
    if not names:
        return 0
    with closing(DecisionLog(log_path(out))) as log:
        return sum(_merge(log, f"{address.rstrip('/')}/{name}") for name in names)


def _merge(log: DecisionLog, address: str) -> int:
    content = read_there(address)
    if content is None:
        return 0
    try:
        schema = pa.schema([SCHEMA.field(name) for name in COLUMNS])
        table = read_parquet(io.BytesIO(content), columns=COLUMNS).cast(schema)
        return log.merge([Decision(**row) for row in table.sort_by("seq").to_pylist()])
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise InputError(f"not a log of decisions ({error})", where=address, fix="remove the file") from error


def publish_decisions(out: Path, address: str) -> str | None:
    """Publish the log under `out`, unless it is published as it is; return its address, None where there is no decision.

    Raises:
        LabelsweepError: The store could not be written; the decisions stay here.
    """
    rows = read_log(out)
    if not rows:
        return None
    target = f"{address.rstrip('/')}/decisions/{_name_machine(out)}.parquet"
    mark = out / _PUBLISHED
    now = f"{target} {rows[-1].seq}\n"
    if mark.exists() and mark.read_text(encoding="utf-8") == now:
        return target
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list_decision_rows(rows), schema=SCHEMA), content, compression="zstd")
    write_there(target, content.getvalue())
    write_text(now, mark)
    return target


def _name_machine(out: Path) -> str:
    """Return the name of this machine's log, drawn once."""
    path = out / _MACHINE
    if not path.exists():
        write_text(secrets.token_hex(6) + "\n", path)
    return path.read_text(encoding="utf-8").strip()
