"""The encode step: features into one file, then the choice of feature maps and regularisation, written down."""

from functools import partial
from pathlib import Path

from torch import Tensor

from tasks.encode.encoded import read_texts
from tasks.encode.feature_names import read_names
from tasks.encode.featurize import featurize
from tasks.encode.groups import find_groups
from tasks.encode.warm_start import WARM, read_warm_members
from tasks.errors import InputError
from tasks.heads.features import Features
from tasks.heads.model import OPINIONS, RoundStore
from tasks.heads.samples import read_samples
from tasks.heads.store import describe_members, save_members
from tasks.models import choose_model, make_model
from tasks.options import AuditOptions
from tasks.records import Dataset, EncodedOpinion, Encoding
from tasks.runs.step import step, step_key
from tasks.storage import write_json

# Why no other models are asked: of five networks' probabilities the average precision is .61 with heads alone, .60 with the
# probabilities themselves beside them.
OWN = "the features are a model's own probabilities"


@step()
def encode(dataset: Dataset, folder: Path, options: AuditOptions, previous: Path | None = None) -> Encoding:
    """Choose the ensemble by out-of-fold log-loss on the given labels, or take over that of the run in `previous`.

    Args:
        previous: Folder of the last finished run of the same data set, if there is one.

    Raises:
        InputError: No column tells two rows apart, the user's encoder or model cannot be used, or there is no such device.
    """
    features = featurize(dataset, folder / "model", options)
    groups = find_groups(dataset, features, folder / "model", options)
    said, features = features.encoder, features.model_copy(update={"groups": groups, "encoder": ""})
    samples = read_samples(dataset, features, options.device)
    _check_differences(samples.features, dataset)
    write_json(list(dataset.classes), folder / "model" / "labels.json")
    device = samples.labels.device
    choice = choose_model(options, image=samples.is_image_alone, samples=dataset.rows, device=device)
    settled = options.model_copy(update={"model": choice.model})
    model = make_model(samples, samples.design(options), settled)  # what cannot be fitted is refused here
    # The directions of a vocabulary turn with every new text: what was fitted to the old ones does not fit the new ones.
    same = previous and not features.shared and read_names(previous, dataset) == read_names(folder, dataset)
    plain = features.plain
    warm = read_warm_members(previous, dataset, options, samples.features, choice, plain) if same else None
    members, chosen_on = warm or (model.choose(), dataset.rows)
    path = folder / "model" / "encoding"
    if members:
        write_json({"options": options.model_dump(mode="json"), "rows": chosen_on}, path / WARM)
        save_members(members, path)
    texts = partial(read_texts, dataset) if dataset.payload == "text" or dataset.texts else None
    opinions, alone = (
        ([], OWN)
        if dataset.given_probabilities
        else model.ask(texts, RoundStore(path / OPINIONS, step_key()))
    )
    return Encoding(
        path=path,
        features=features,
        members=describe_members(members),
        choice=choice,
        opinions=tuple(EncodedOpinion(name=one.name, log_loss=one.log_loss) for one in opinions),
        alone=alone,
        encoder=said,
    )


def _check_differences(features: Features, dataset: Dataset) -> None:
    """Raise InputError where all samples are the same, such as blank images: whatever were flagged would be chance."""
    first: Tensor | None = None
    for _, block in features.blocks():
        first = block[:1] if first is None else first
        if bool((block != first).any()):
            return
    raise InputError(
        "all samples are the same, and nothing tells one class from another",
        where=dataset.uri,
        fix="check the images, texts or vectors that were named",
    )
