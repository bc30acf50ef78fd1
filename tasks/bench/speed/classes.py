"""How long an audit of many classes takes, beside one of ten classes with as many samples and features."""

from collections.abc import Iterator
from functools import partial

from tasks.attribute import AuditOptions, audit
from tasks.bench.command import Device
from tasks.bench.stopwatch import planted, timed

SIZES = ((5_000, 384, 100), (10_000, 16, 1_000))


def classes(most: int, device: Device) -> Iterator[list[str]]:
    """Measure an audit of many classes and one of ten, of as many samples and features."""
    for n, d, many in ((min(n, most), d, many) for n, d, many in SIZES):
        first = None
        for count in (10, min(many, n // 10)):
            data = planted(n, d, count)
            result, time = timed(partial(audit, data.features, data.given, AuditOptions(device=device)))
            first = first or time
            precision = f"{data.precision(result.score):.4f}"
            yield [f"{n:,} x {d} x {count:,}", str(time), time / first, precision]
