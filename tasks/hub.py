"""Models by their name on the Hugging Face Hub: from its cache on this machine, else fetched."""

import logging
import re
from pathlib import Path

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
# Configuration, vocabulary and weights: no code, and no weights that can run programs.
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]


def is_hub_name(value: str) -> bool:
    """Return whether a value is OWNER/NAME, and no path on this machine begins like it.

    >>> is_hub_name("sentence-transformers/all-MiniLM-L6-v2"), is_hub_name("models/deep/minilm"), is_hub_name("minilm")
    (True, False, False)
    """
    return bool(_NAME.fullmatch(value)) and not Path(value).parent.exists()


def find_on_hub(name: str) -> Path:
    """Return the folder of a model in the cache of the Hugging Face Hub, fetched if it is not there yet.

    Raises:
        ValueError: It is in no cache and cannot be fetched, or the Hub's package is not installed.
    """
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 (of an extra)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"names a folder that is not there ({name}), and models of the Hugging Face Hub need "
            "pip install 'labelsweep[text]' or 'labelsweep[vision]'"
        ) from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
    except Exception:  # noqa: BLE001, S110 (whatever the Hub's package says of a model that it does not have)
        pass
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except Exception as error:
        raise ValueError(
            f"is no folder here, and {name} is neither in the Hugging Face cache nor can it be fetched; where there is "
            f"a network, `hf download {name}` fetches it, and the folder that it prints can be named here"
        ) from error
