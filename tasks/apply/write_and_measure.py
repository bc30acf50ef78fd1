"""The whole second half of the loop: plan, version, gain, each from the files of the one before."""

from pathlib import Path

from tasks.apply.correct import Applied, apply_plan
from tasks.apply.gain import Gain, measure_gain
from tasks.apply.plan import Plan
from tasks.runs.finished import read_audit_options, read_dataset
from tasks.storage import read_json, write_json

GAIN = "gain.json"


def write_and_measure_plan(
    run: Path, out: Path, plan: Plan, *, measure: bool = True, copy_images: bool = False
) -> tuple[Applied, Gain | None]:
    """Write the corrected version and measure what it is worth.

    Both are done once: the same decisions find the version and its gain where they are. A gain that was not
    measured, or a measurement that was interrupted, is caught up on.

    Args:
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
    gain = measure_gain(run, read_dataset(run), plan, read_audit_options(run))
    write_json(gain.model_dump(mode="json"), path)
    return applied, gain
