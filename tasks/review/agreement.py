"""Two blind opinions on the same sample: who is asked twice, and how far the reviewers agree."""

import hashlib
from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

from tasks.review.ledger import Key, Ledger


class Agreement(NamedTuple):
    """How two reviewers agree on the samples that both decided.

    `kappa` is None where it is not defined: nothing in common, or both gave one and the same answer
    throughout.
    """

    first: str
    second: str
    samples: int
    agreed: int
    kappa: float | None


def wants_second_opinion(key: Key, share: float, seed: int = 0) -> bool:
    """Whether this sample is among the seeded `share` that two reviewers decide.

    A hash of the key decides, so two servers, a restart and a re-ordered queue all ask for the same samples.

    Args:
        key: Content and given label of the sample.
        share: Share of samples, 0 to 1.
        seed: Another one draws other samples.

    >>> sum(wants_second_opinion(Key(str(n), "cat"), 0.25) for n in range(1000)) in range(200, 300)
    True
    """
    digest = hashlib.sha256(
        f"second opinion\0{seed}\0{key.content_hash}\0{key.given_label}".encode()
    ).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def agreement(ledger: Ledger, keys: Iterable[Key]) -> list[Agreement]:
    """Compare every pair of reviewers over `keys`.

    Kappa is Cohen's (1960, "A coefficient of agreement for nominal scales"): (observed − expected agreement)
    / (1 − expected), on the answers: each label, drop, and unsure.
    """
    answers: dict[str, dict[Key, str]] = {}
    for key in keys:
        for reviewer, row in ledger.opinions(key).items():
            answers.setdefault(reviewer, {})[key] = row.outcome
    return [_pair(a, b, answers[a], answers[b]) for a, b in combinations(sorted(answers), 2)]


def _pair(a: str, b: str, of_a: dict[Key, str], of_b: dict[Key, str]) -> Agreement:
    shared = sorted(of_a.keys() & of_b.keys())
    left, right = [of_a[key] for key in shared], [of_b[key] for key in shared]
    agreed = sum(x == y for x, y in zip(left, right, strict=True))
    if len({*left, *right}) < 2:
        return Agreement(a, b, len(shared), agreed, None)
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 (a second to import, and only needed with two reviewers)

    return Agreement(a, b, len(shared), agreed, float(cohen_kappa_score(left, right)))
