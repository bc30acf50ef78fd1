from pathlib import Path

from killing import kill_while_reviewing


def test_an_acknowledged_decision_survives_kill_9(digits: Path, out: Path) -> None:
    toll = kill_while_reviewing(out, digits, kills=4, seed=0)
    assert toll.acknowledged >= 4  # each server answered before it was killed
    assert (toll.lost, toll.doubled, toll.corrupt) == (0, 0, 0)
