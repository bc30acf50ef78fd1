"""A queue that is dealt to names, keys of the user's, and who is how far."""

from dataclasses import replace
from pathlib import Path

import pytest
from review_server import Client, served

from flows.commands.review import format_address
from tasks.errors import InputError
from tasks.review.assign import deal_items, read_shares
from tasks.review.page.keys import read_keys
from tasks.review.queue import load_queue
from tasks.review.state import ReviewOptions


def test_names_share_the_queue_evenly_and_each_sees_their_own(digits: Path, out: Path) -> None:
    options = ReviewOptions(shares={"Ada": (), "Bo": (), "Cy": ("3", "5")})
    with served(digits, out, options=options) as site:
        items = site.site.queue.items
        orders = {name: Client(site.address, name).get("/api/order")["order"] for name in options.shares}
        assert sorted(at for order in orders.values() for at in order) == list(range(len(items)))
        assert {items[at].given for at in orders["Cy"]} == {"3", "5"}
        assert abs(len(orders["Ada"]) - len(orders["Bo"])) <= 1
        assert len(Client(site.address, "Di").get("/api/order")["order"]) == len(items)
        assert Client(site.address, "Ada").get("/api/order?whose=Bo")["order"] == orders["Bo"]
        ada = Client(site.address, "Ada")
        for at in orders["Ada"][:3]:
            ada.decide(items[at], "keep")
        news = ada.get("/api/progress")
        assert (news["total"], news["todo"]) == (len(orders["Ada"]), len(orders["Ada"]) - 3)
        team = {person["name"]: person for person in ada.get("/api/team")}
        assert (team["Ada"]["decided"], team["Ada"]["left"], team["Bo"]["decided"]) == (3, news["todo"], 0)
        assert set(team) == {"Ada", "Bo", "Cy"}


def test_a_second_opinion_is_asked_of_another_person(digits: Path, out: Path) -> None:
    options = ReviewOptions(shares={"Ada": (), "Bo": ()}, second_opinion=1.0)
    with served(digits, out, options=options) as site:
        size = len(site.site.queue.items)
        assert [len(Client(site.address, name).get("/api/order")["order"]) for name in ("Ada", "Bo")] == [
            size,
            size,
        ]


def test_the_same_content_with_another_label_is_asked_of_two_where_that_is_wanted(digits: Path) -> None:
    one = load_queue(digits).items[0]
    items = [one, replace(one, key=one.key._replace(given_label="another"))]
    dealt = deal_items(items, {"Ada": (), "Bo": ()}, lambda key: key.given_label == "another")
    assert dealt == [{"Ada"}, {"Ada", "Bo"}]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("names.yaml", "Ada: [mouse]", "no class 'mouse'"),
        ("names.yaml", "- Ada", "lists of classes"),
        ("names.yaml", "Ada: [", "not YAML"),
    ],
)
def test_a_wrong_file_of_names_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read_shares(str(tmp_path / name), ["cat"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keep: s", "two things"),
        ("kep: j", "no action 'kep'"),
        ("keep: jj", "not a key"),
        ("classes: {dog: q}", "no class"),
    ],
)
def test_a_wrong_file_of_keys_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "keys.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_keys(tmp_path / "keys.yaml", ["cat"])
    (tmp_path / "keys.yaml").write_text("keep: j\nclasses: {cat: q}")
    assert read_keys(tmp_path / "keys.yaml", ["cat"]) == ({"keep": "j"}, {"cat": "q"})


def test_the_printed_address_is_one_that_can_be_opened() -> None:
    for host in ("0.0.0.0", "::"):  # noqa: S104 (compared)
        assert host not in format_address(host, 8765, "t")
