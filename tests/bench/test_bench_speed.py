"""The benchmark of speed measures on the device that is named, and refuses a missing one."""

import pytest
import torch

from tasks.bench.command import main
from tasks.errors import InputError


def test_each_part_that_needs_no_peer_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["speed", "--most", "1000", "--parts", "phases,passes,sampling", "--device", "cpu"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "| samples x features x classes | fit | solve | scoring pass |" in printed
    assert "1,000 x 128 x 10" in printed
    assert "| evaluation set | " in printed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device on this machine")
def test_a_device_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="no CUDA device here"):
        main(["speed", "--parts", "phases", "--device", "cuda"])


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="no part 'nothing'"):
        main(["speed", "--parts", "nothing"])
