"""A campaign can be killed, continued, split in halves and read."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from flows.cli import run
from tasks.bench.command import main
from tasks.bench.quality import campaign
from tasks.bench.quality import summary as table
from tasks.bench.quality.campaign import Setting, judge_cell, list_settings, prepare_cell
from tasks.bench.quality.case import Method
from tasks.bench.tally import read_rows, run_campaign
from tasks.errors import InputError

pytest.importorskip("cleanlab")
CHEAP = ("normalized margin", "argmax != label")
SMALL = list_settings(["iris"], ["uniform"], (0.05, 0.2))


CELLS = {f"{s.name} seed {seed}": (s, seed) for seed in (0, 1) for s in SMALL}


def judge(cells, kept=None, jobs=1):
    """Run a campaign; return its rows in one order, without what is timed."""
    rows = run_campaign(cells, lambda cell, names: judge_cell(*cell, names), kept, methods=CHEAP, jobs=jobs)
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
    return sorted(rows, key=lambda row: (row["case"], row["method"]))


def test_killed_campaign_continues_to_the_same_results(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    whole = judge(CELLS)
    judge(dict([*CELLS.items()][:1]), path)
    path.write_text(path.read_text() + '{"setting": "iris/unif')  # killed while it wrote
    kept = path.read_text().splitlines()[:-1]
    capsys.readouterr()
    assert judge(CELLS, path) == whole
    assert path.read_text().splitlines()[: len(kept)] == kept
    assert capsys.readouterr().err.count("\n") == len(CELLS) - 1
    assert judge(CELLS, path) == whole
    assert not capsys.readouterr().err


def test_a_method_whose_lines_were_deleted_is_measured_again_alone(tmp_path, capsys):
    path, cells = tmp_path / "results.jsonl", {name: cell for name, cell in CELLS.items() if cell[1] == 0}
    judge(cells, path)
    kept = [line for line in path.read_text().splitlines(keepends=True) if "argmax" not in line]
    path.write_text("".join(kept))
    capsys.readouterr()
    judge(cells, path)
    assert capsys.readouterr().err.count("\n") == len(SMALL)
    rows = read_rows(path)
    assert path.read_text().startswith("".join(kept))
    assert [row["method"] for row in rows[len(kept) :]] == ["argmax != label"] * len(SMALL)


def test_two_processes_give_the_results_of_one():
    assert judge(CELLS) == judge(CELLS, jobs=2)


def test_halves_hold_every_data_set_with_every_kind_of_error():
    grid = list_settings(["iris", "wine"])
    halves = {half: [s for s in grid if s.half == half] for half in ("develop", "final")}
    assert len(halves["develop"]) + len(halves["final"]) == len(grid)
    for part in halves.values():
        counts = Counter((s.data, s.noise) for s in part)
        assert len(counts) == 2 * 5
        assert max(counts.values()) == 2


def test_audited_and_test_samples_are_apart_and_the_test_set_is_clean():
    cell = prepare_cell(Setting("wine", "uniform", 0.2), seed=1)
    assert len(cell.labels) + len(cell.test_labels) == 178
    assert (cell.labels != cell.case.labels).mean() == pytest.approx(0.2, abs=0.01)
    counts = np.bincount(cell.labels) + np.bincount(cell.test_labels)
    assert counts.tolist() == [59, 71, 48]


def test_bundled_digits_are_audited_whole_with_the_errors_they_ship_with():
    cell = prepare_cell(Setting("digits_bundled", "as_shipped"), seed=0)
    assert len(cell.labels) == 1797
    assert (cell.labels != cell.case.labels).sum() == 144


def test_a_method_that_fails_is_reported_and_the_others_still_run(monkeypatch):
    def broken(*_):
        raise ValueError("no such luck")

    methods = [m for m in campaign.list_methods() if m.name in CHEAP] + [Method("unlucky", broken, "none")]
    monkeypatch.setattr(campaign, "list_methods", lambda: methods)
    rows = list(judge_cell(SMALL[0], 0, (*CHEAP, "unlucky")))
    assert [row["error"] for row in rows] == [None, None, "ValueError: no such luck"]
    text = table.make_quality_tables(rows, details=False)
    assert "unlucky: ValueError: no such luck" in text


def rows_of(leads):
    """Result rows of a default and one peer: the default's AP is 0.5 plus the lead of that seed."""
    common = {"half": "final", "data": "d", "noise": "uniform", "rate": 0.2, "samples": 100, "errors": 20}
    common |= dict.fromkeys(table.COLUMNS, 0.5) | {
        "error": None,
        "seconds": 1.0,
    }
    return pd.DataFrame(
        common
        | {"setting": f"s{number}", "seed": seed, "method": method, "block": block, "package": "p", "ap": ap}
        for number, seeds in enumerate(leads)
        for seed, lead in enumerate(seeds)
        for method, block, ap in (("default", "ours", 0.5 + lead), ("rival", "peers", 0.5))
    )


def test_wins_ties_and_losses_are_counted_by_one_standard_error():
    frame = rows_of([(0.1, 0.2, 0.3), (-0.1, 0.1, 0.02), (-0.2, -0.21, -0.2), (0.0, 0.0, 0.0)])
    expected = {"s0": "win", "s1": "tie", "s2": "loss", "s3": "tie"}
    assert table.compare_methods(frame, "default", "rival").to_dict() == expected
    assert "1 wins, 2 ties, 1 losses; wins or ties in 75 % of 4 settings" in table.verdict(frame, "default")


def test_the_closest_peer_is_the_one_that_wins_most_often_against_the_default():
    frame = rows_of([(0.1, 0.2, 0.3), (0.1, 0.1, 0.1)])
    better = frame[frame["method"] == "rival"].assign(method="better", ap=0.65)
    said = table.verdict(pd.concat([frame, better]), "default")
    assert "wins or ties in at least 50 % of the settings; closest is better (2 settings)" in said


def test_overview_gives_mean_and_seed_spread():
    frame = rows_of([(0.1, 0.2), (0.2, 0.3)])
    line = next(line for line in table.overview(frame, "default").splitlines() if "**default**" in line)
    spread = np.std([0.1, 0.2], ddof=1)
    assert f".700 ± {spread:.3f}".replace("± 0", "± ") in line


def test_a_method_that_missed_a_setting_has_no_rank_among_the_others():
    frame, choosy = rows_of([(0.1, 0.1), (-0.05, -0.05)]), rows_of([(0.0, 0.0)])
    choosy = choosy[choosy["method"] == "rival"].assign(method="choosy", ap=0.99)
    lines = table.overview(pd.concat([frame, choosy]), "default").splitlines()
    ranks = {line.split("|")[1].strip(): line.split("|")[-4].strip() for line in lines}
    assert (ranks["choosy"], ranks["rival"]) == ("–", "2.0")


def test_breakdowns_cover_each_kind_and_setting():
    frame = rows_of([(0.1, 0.2), (0.2, 0.3)])
    assert "uniform" in table.breakdown(frame, "noise")
    assert "20 %" in table.breakdown(frame, "rate")
    assert table.by_setting(frame, "default").count("win") == 2


def test_main_prints_tables_and_keeps_results(tmp_path, capsys):
    out = tmp_path / "r.jsonl"
    grid = ["--data=iris", "--noise=uniform", "--rates=20", "--half=both", "--seeds=1", "--jobs=1"]
    main(["quality", *grid, "--methods", ",".join(CHEAP), "--out", str(out)])
    printed = capsys.readouterr()
    assert "normalized margin" in printed.out
    assert {json.loads(line)["method"] for line in out.read_text().splitlines()} == set(CHEAP)
    assert "iris/uniform/20 seed 0" in printed.err


@pytest.mark.parametrize("option", ["--data nothing", "--noise nothing", "--methods nothing", "--rates few"])
def test_wrong_options_are_refused_with_what_to_do(option):
    with pytest.raises(InputError) as caught:
        main(["quality", *option.split(), "--seeds", "1"])
    assert caught.value.fix


@pytest.mark.parametrize("option", ["--jobs", "--seeds"])
def test_counts_begin_at_one(option, capsys):
    assert run(["bench", "quality", option, "0"]) == 2
    assert option in capsys.readouterr().err
