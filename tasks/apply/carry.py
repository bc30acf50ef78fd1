"""The whole second half of the loop: plan, version, gain, each from the files of the one before."""

from pathlib import Path

import yaml

from tasks.apply.correct import Applied, apply_plan
from tasks.apply.gain import Gain, measure_gain
from tasks.apply.plan import Plan
from tasks.options import AuditOptions
from tasks.review.queue import read_dataset
from tasks.storage import read_json, write_json

GAIN = "gain.json"


def audit_options_of(run: Path) -> AuditOptions:
    """Return the options that a run was audited with; the defaults where it kept none."""
    path = run / "config.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return AuditOptions(
        **{name: value for name, value in (values or {}).items() if name in AuditOptions.model_fields}
    )


def carry_out(
    run: Path, out: Path, plan: Plan, *, measure: bool = True, copy_images: bool = False
) -> tuple[Applied, Gain | None]:
    """Write the corrected version and measure what it is worth.

    Both are done once: the same decisions find the version and its gain where they lie. A gain that was not
    measured, or a measurement that was interrupted, is caught up on.

    Args:
        run: The run folder.
        out: The output folder.
        plan: What changes.
        measure: Whether to refit and measure.
        copy_images: Whether a folder of images is copied with its corrections.
    """
    applied = apply_plan(run, out, plan, copy_images=copy_images)
    if applied.folder is None or not plan.changes:
        return applied, None
    path = applied.folder / GAIN
    if path.exists():
        return applied, Gain.model_validate(read_json(path))
    if not measure:
        return applied, None
    gain = measure_gain(run, read_dataset(run), plan, audit_options_of(run))
    write_json(gain.model_dump(mode="json"), path)
    return applied, gain
