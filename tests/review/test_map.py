"""The map of a run, similar samples, and samples beyond the queue: in a table of wines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from review_server import Client, Served, served

from tasks.review.filter import Filter
from tasks.review.log import read_log
from tasks.storage import read_parquet


@pytest.fixture
def page(wine: Path, out: Path) -> Iterator[Served]:
    with served(wine, out, reviewer="Ada", control_share=0.3) as site:
        yield site


def test_similar_samples_are_found_beyond_the_queue_and_decided_together(page: Served) -> None:
    client, queue = Client(page.address), page.site.queue
    found = client.get("/api/order?like=0&state=all")["order"]
    assert found[0] == 0
    beyond = [position for position in found if position >= len(queue.items)]
    assert beyond
    assert 'class="tiles' in client.page("/grid?like=0&state=all")
    body = {"decision": "drop", "positions": beyond[:3], "expected": 3, "action": "a" * 20}
    assert client.post("/api/decide-many", body)[0] == 200
    out = page.site.review.log.path.parent
    dataset = read_parquet(queue.run / "dataset.parquet", columns=["sample_id", "content_hash", "label"])
    rows = {row["sample_id"]: row for row in dataset.to_pylist()}
    for decision in read_log(out):
        row = rows[decision.sample_id]
        assert (decision.content_hash, decision.given_label) == (row["content_hash"], row["label"])
    assert client.get("/api/order?like=0&state=drop")["order"] == beyond[:3]
    assert client.get("/api/progress")["todo"] == len(queue.items)
    undone = client.post("/api/undo", {"action": "b" * 20})[1]
    assert sorted(undone["positions"]) == sorted(beyond[:3])


def test_a_lasso_finds_what_the_browser_counts(page: Served) -> None:
    atlas = page.site.finder.atlas
    square = "plane;0.0,0.0;0.5,0.0;0.5,1.0;0.0,1.0"
    left = set(atlas.positions[atlas.view("plane")[:, 0] < 0.5].tolist())
    found = Client(page.address).get(f"/api/order?lasso={square}&state=all")["order"]
    assert set(found) == left
    assert found == sorted(found)
    status, _, text = Client(page.address).request("GET", "/grid?lasso=plane;1,2")
    assert (status, "lasso" in text) == (422, True)


def test_a_planted_control_looks_as_it_is_shown_on_the_map(page: Served) -> None:
    atlas, queue = page.site.finder.atlas, page.site.queue
    controls = [item for item in queue.items if item.is_control]
    assert controls
    for item in controls:
        (place,) = (atlas.positions == item.position).nonzero()[0]
        assert queue.classes[atlas.labels[place]] == item.given
    names = [item.sample_id for item in atlas.items(atlas.positions.tolist())]
    assert len(names) == len(set(names)) == queue.dataset.rows


def test_words_and_numbers_of_own_columns_are_found(page: Served) -> None:
    find, rows = page.site.finder.find, page.site.rows
    shown = {item.position: rows.row(item.sample_id) for item in page.site.queue.items}
    wanted = Filter(state="all", column="alcohol", value="> 13")
    assert {item.position for item in find(wanted, "Ada")} == {
        position for position, row in shown.items() if float(row["alcohol"]) > 13
    }
    some = next(iter(shown.values()))["alcohol"]
    assert {item.position for item in find(Filter(state="all", value=some), "Ada")} == {
        position for position, row in shown.items() if any(some in cell for cell in row.values())
    }


def test_an_export_has_everything(page: Served) -> None:
    client = Client(page.address)
    for item in page.site.queue.items[:3]:
        client.decide(item, "keep", comment="=1+1")
    lines = client.page("/decisions.csv").splitlines()
    assert len(lines) == 4
    assert {"score", "reason", "data.alcohol", "together", "comment"} <= set(lines[0].split(","))
    assert "'=1+1" in lines[1]
