"""A warm start: the feature maps and the parameters of the last run, where they fit the data of this one.

The loss is strictly convex, so where the fit begins changes how long it takes and not where it ends (within its tolerance). The
maps themselves are kept as they are, means and landmarks of the earlier data included; after a fifth more or fewer rows than
they were chosen on they are chosen again.
"""

from pathlib import Path

from pydantic import ValidationError
from torch import Tensor

from tasks.errors import InputError
from tasks.heads.members import Member
from tasks.heads.store import load_members, load_parameters
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, ModelChoice, Validation
from tasks.runs.checksums import check_run
from tasks.storage import read_json

WARM = "warm.json"

# A fifth more or fewer rows move the best l2 by far less than a step of its grid, which is a decade.
DRIFT = 0.2


def read_warm_members(
    previous: Path | None, dataset: Dataset, options: AuditOptions, like: Tensor, choice: ModelChoice
) -> tuple[list[Member], int] | None:
    """Return the members of the last run with its parameters to start from, and the rows that they were chosen on.

    Args:
        previous: Folder of the last finished run of the same data set.
        like: A tensor of the dtype and on the device that are wanted.

    Returns:
        None where there is no such run, or where its features, classes, model or options were others.
    """
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
    return [
        Member(member.feature_map, member.l2 * scale, member.log_loss, theta)
        for member, theta in zip(members, thetas, strict=True)
    ], chosen_on
