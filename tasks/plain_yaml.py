"""YAML that is what it looks like: no anchors, by which a small file becomes a huge value, no depths, no objects."""

from typing import Any

import yaml

from tasks.errors import InputError

# YAML of many megabytes takes minutes to parse; a thousand expectations take 0.2 MB.
LARGEST_FILE = 2**20
# What people write nests a few levels; the parser itself crashes at some ten thousand.
_DEEPEST = 50
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def parse_yaml(text: str, where: str) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Parse a file of YAML.

    Raises:
        InputError: It holds anchors or aliases, or nests too deep.
        yaml.YAMLError: It is not YAML.
        ValueError: A value is none, such as a date in month 13.

    >>> parse_yaml("folds: 3", "options.yaml")
    {'folds': 3}
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for token in yaml.scan(text, Loader=loader):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            what = f"line {line}: anchors and aliases (& and *) are not accepted"
            raise InputError(what, where=where, fix="write the value out")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _DEEPEST:
            raise InputError(f"line {line}: it is nested too deep", where=where, fix="write a flat list")
    return yaml.load(text, Loader=loader)  # noqa: S506 (a safe loader in either case)
