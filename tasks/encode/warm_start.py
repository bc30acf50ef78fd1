"""A warm start: the feature maps and the parameters of the last run, where they fit the data of this one.

The loss is strictly convex, so where the fit begins changes how long it takes and not where it ends (within its tolerance). The
maps themselves are kept as they are, means and landmarks of the earlier data included; after a fifth more or fewer rows than
they were chosen on, or where a feature has another mean or spread, as in another unit, they are chosen again.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tasks.errors import InputError
from tasks.heads.feature_map import make_raw_map
from tasks.heads.features import Features, compute_moments
from tasks.heads.members import Member
from tasks.heads.store import load_members, load_parameters
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, ModelChoice, Validation
from tasks.runs.checksums import check_run
from tasks.storage import read_json

WARM = "warm.json"

# A fifth more or fewer rows move the best l2 by far less than a step of its grid, which is a decade.
DRIFT = 0.2
# Nor does a mean that moved by less than a spread, or a spread by less than the factor of 2 that a rare category may have.
MOVED, SPREAD = 1.0, 2.0


def read_warm_members(
    previous: Path | None,
    dataset: Dataset,
    options: AuditOptions,
    features: Features,
    choice: ModelChoice,
    plain: int,
) -> tuple[list[Member], int] | None:
    """Return the members of the last run with its parameters to start from, and the rows that they were chosen on.

    Args:
        previous: Folder of the last finished run of the same data set.
        features: Of this run, of the dtype and on the device that are wanted.
        plain: How many of them, from the first, are not beside the others.

    Returns:
        None where there is no such run, or where its features, their scales, classes, model or options were others.
    """
    like = features.like
    if previous is None:
        return None
    try:
        before = Validation.model_validate(read_json(previous / "steps" / "validate.json")["record"]).dataset
        encoding = Encoding.model_validate(read_json(previous / "steps" / "encode.json")["record"])
        config = AuditOptions.model_validate(read_json(previous / "model" / "encoding" / WARM)["options"])
        chosen_on = int(read_json(previous / "model" / "encoding" / WARM)["rows"])
    except (OSError, KeyError, ValueError, ValidationError):
        return None
    # Regularisation that was chosen with the copies of a sample in other folds is too weak.
    alike = ("feature_names", "feature_shape", "classes", "payload", "group")
    unread = set(AuditOptions.indifferent)
    if (
        config.model_dump(exclude=unread) != options.model_dump(exclude=unread)
        or encoding.choice.model != choice.model
        or any(getattr(before, name) != getattr(dataset, name) for name in alike)
    ):
        return None
    centres = [[column.centre for column in data.columns] for data in (before, dataset)]
    if abs(dataset.rows - chosen_on) > DRIFT * chosen_on or centres[0] != centres[1]:
        return None
    try:
        check_run(
            previous, *(str(path.relative_to(previous)) for path in previous.glob("model/**/*.safetensors"))
        )
        # Not at `encoding.path`: the results may have been moved.
        members = load_members(previous / "model" / "encoding", len(encoding.members), like)
        thetas = load_parameters(previous / "model" / "round-1", "theta", len(members), like)
    except (InputError, OSError):  # damaged or removed since: chosen again, nothing depends on it
        return None
    scale = before.rows / dataset.rows
    begun = [
        Member(member.feature_map, member.l2 * scale, member.log_loss, theta)
        for member, theta in zip(members, thetas, strict=True)
    ]
    pixels = plain if dataset.payload == "image" else 0
    return (begun, chosen_on) if _are_alike(begun, features, pixels) else None


def _are_alike(members: Sequence[Member], features: Features, pixels: int) -> bool:
    """Return whether features have about the means and spreads that the members' maps standardise by.

    Args:
        pixels: How many of the first features are pixels, which have one unit whatever the data are.
    """
    now = make_raw_map(*compute_moments(features))
    for seen in (member.feature_map for member in members):
        low, high = seen.columns or (0, features.width)
        start = max(0, pixels - low)
        if seen.image or start >= high - low:
            continue
        mean, scale = now.mean[low + start : high], now.scale[low + start : high]
        moved, ratio = (mean - seen.mean[start:]).abs() / seen.scale[start:], scale / seen.scale[start:]
        if not bool(((moved <= MOVED) & (ratio <= SPREAD) & (ratio >= 1 / SPREAD)).all()):
            return False
    return True
