import re
from dataclasses import replace
from pathlib import Path

import pytest
from review_server import Client, Process, Served, served

from tasks.errors import InputError
from tasks.review.log import log_path, read_log
from tasks.review.page.guard import Guard
from tasks.review.page.web import create_app, guard_for
from tasks.review.state import Answer, Filter, Review, ReviewOptions


def test_every_answer_forbids_foreign_scripts_frames_and_guessing(page: Served) -> None:
    client = Client(page.address)
    for path in ("/review", "/grid", "/insights", "/static/review.js", "/api/order", "/nowhere"):
        _, headers, _ = client.request("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_no_page_has_a_script_or_style_of_its_own(page: Served) -> None:
    for path in ("/review", "/grid", "/insights", "/name", "/item/0"):
        text = Client(page.address).page(path)
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son[a-z]+=|\sstyle=|javascript:", text)
        assert "://" not in re.sub(r"https?://127\.0\.0\.1:\d+", "", text)


def test_a_foreign_host_name_is_refused(page: Served) -> None:
    status, _, text = Client(page.address).request("GET", "/review", headers={"host": "evil.example"})
    assert status == 421
    assert "labelsweep printed" in text


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"x-csrf-token": "guessed"}, "out of date"),
        ({"x-csrf-token": ""}, "out of date"),
        ({"origin": "http://evil.example"}, "another site"),
        ({"content-type": "application/x-www-form-urlencoded"}, "valid dictionary"),
    ],
)
def test_a_forged_write_is_refused_and_leaves_no_row(
    page: Served, out: Path, headers: dict[str, str], says: str
) -> None:
    client = Client(page.address)
    item = page.site.queue.items[0]
    body = {"position": 0, "check": item.check, "decision": "keep", "action": "a" * 16}
    status, answer = client.post("/api/decide", body, **headers)
    assert status in (403, 422)
    assert says in str(answer)
    assert read_log(out) == []


def test_cookies_stay_on_this_site_and_out_of_scripts(page: Served) -> None:
    fresh = Client(page.address)
    fresh.cookies.clear()
    _, headers, _ = fresh.request("GET", "/review")
    assert "HttpOnly" in headers["set-cookie"]
    assert "samesite=strict" in headers["set-cookie"].lower()


def test_markup_in_labels_columns_and_comments_is_text(wine: Path, out: Path) -> None:
    with served(wine, out, reviewer="<i>Ada</i>") as site:
        client = Client(site.address)
        item = site.site.queue.items[0]
        assert client.decide(item, "unsure", comment="<img src=x onerror=alert(1)>")[0] == 200
        for path in ("/item/0", "/review?state=all", "/grid?state=all", "/insights"):
            text = client.page(path)
            assert not re.search(r"<(b>Grig|i>Ada|img src=x|script>alert)", text)
        assert "&lt;b&gt;Grignolino&lt;/b&gt;" in client.page("/review?state=all")
        assert "&lt;img src=x onerror=alert(1)&gt;" in client.page("/item/0")


def test_pictures_are_encoded_anew_and_other_bytes_are_not_shown(page: Served) -> None:
    client = Client(page.address)
    sample = page.site.queue.items[0].sample_id
    page.site.pictures.put("svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    assert client.request("GET", f"/image?id={sample}")[1]["content-type"] == "image/png"
    status, headers, _ = client.request("GET", "/image?id=svg")
    assert (status, headers["cache-control"]) == (404, "no-store")
    assert client.request("GET", "/image?id=../../etc/passwd")[0] == 404


def test_other_machines_need_the_token(digits: Path, out: Path) -> None:
    with pytest.raises(InputError, match="--token"):
        guard_for("0.0.0.0", None)  # noqa: S104
    with served(digits, out, reviewer="Ada", guard=Guard(None, "secret")) as site:
        client = Client(site.address)
        assert client.request("GET", "/review")[0] == 403
        assert client.request("GET", "/review?token=wrong")[0] == 403
        status, headers, _ = client.request("GET", "/review?token=secret&state=all")
        assert (status, headers["location"]) == (303, "/review?state=all")
        assert client.request("GET", "/review")[0] == 200


def test_a_decision_needs_a_name_and_the_name_survives(digits: Path, out: Path) -> None:
    with served(digits, out) as site:
        client = Client(site.address)
        assert client.request("GET", "/review")[1]["location"] == "/name"
        assert client.decide(site.site.queue.items[0], "keep")[0] == 403
        named = Client(site.address, reviewer="J%C3%BCrgen+%C3%96zil")
        assert named.decide(site.site.queue.items[0], "keep")[0] == 200
    assert [row.reviewer for row in read_log(out)] == ["Jürgen Özil"]


def test_a_row_holds_all_that_was_decided_and_shown(page: Served, out: Path) -> None:
    item = page.site.queue.items[0]
    status, answer = Client(page.address).decide(item, "suggestion", comment=" clear ", seconds=2.5)
    (row,) = read_log(out)
    assert status == 200
    assert answer["row"] == row.seq == 1
    assert (row.sample_id, row.content_hash, row.given_label) == (
        item.sample_id,
        item.key.content_hash,
        item.given,
    )
    assert (row.decision, row.new_label, row.suggested_label) == ("relabel", item.suggested, item.suggested)
    assert (row.reviewer, row.seconds, row.run, row.comment) == ("Ada", 2.5, "digits-run", "clear")
    assert row.evidence_hash == item.evidence_hash
    assert row.time.endswith("+00:00")


def test_the_same_action_sent_twice_is_one_row(page: Served, out: Path) -> None:
    client, item = Client(page.address), page.site.queue.items[0]
    for _ in range(2):
        assert client.decide(item, "keep", action="b" * 32)[0] == 200
    assert len(read_log(out)) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"decision": "maybe"}, 422),
        ({"decision": "relabel", "new_label": "dog"}, 422),
        ({"position": 10_000}, 404),
        ({"check": "another one"}, 409),
        ({"comment": "x" * 5_000}, 422),
    ],
)
def test_what_is_no_decision_is_refused_and_leaves_no_row(
    page: Served, out: Path, change: dict, status: int
) -> None:
    item = page.site.queue.items[0]
    body = {"position": 0, "check": item.check, "decision": "keep", "action": "c" * 16}
    assert Client(page.address).post("/api/decide", {**body, **change})[0] == status
    assert read_log(out) == []


def test_two_reviewers_on_one_sample_both_stand(page: Served, out: Path) -> None:
    item = page.site.queue.items[0]
    Client(page.address, reviewer="Ada").decide(item, "keep")
    Client(page.address, reviewer="Bo").decide(item, "suggestion")
    page.site.review.refresh()
    standing = page.site.review.ledger.find_standing(item.key)
    assert {name: row.decision for name, row in standing.items()} == {"Ada": "keep", "Bo": "relabel"}
    assert page.site.review.status(item, "Cy") == "disagree"


def test_what_others_decide_reaches_a_page_with_its_next_answer(digits: Path, out: Path) -> None:
    with served(digits, out, reviewer="Ada") as one, served(digits, out, reviewer="Bo") as two:
        items = one.site.queue.items
        Client(two.address).decide(items[3], "keep")
        news = Client(one.address).decide(items[0], "keep")[1]
        assert news["changed"] == {"3": "keep"}
        assert news["todo"] == len(items) - 2


def test_a_sample_that_one_has_open_is_not_offered_first_to_another(digits: Path, out: Path) -> None:
    with served(digits, out) as site:
        pages = [Client(site.address, reviewer=name).page("/review") for name in ("Ada", "Bo")]
        assert [re.search(r'data-position="(\d+)"', text).group(1) for text in pages] == ["0", "1"]  # type: ignore[union-attr]


def test_two_who_decide_at_the_same_moment_are_sent_to_two_samples(digits: Path, out: Path) -> None:
    with served(digits, out) as site:
        ada, bo = (Client(site.address, reviewer=name) for name in ("Ada", "Bo"))
        items = site.site.queue.items
        both = {"upcoming": [2, 3, 4]}
        assert [
            ada.decide(items[0], "keep", **both)[1]["next"],
            bo.decide(items[1], "keep", **both)[1]["next"],
        ] == [2, 3]
        assert ada.decide(items[2], "keep", upcoming=[3, 4])[1]["next"] == 4
        ada.post("/open/2", {})  # the page's word of before the decision, come late
        assert bo.decide(items[3], "keep", upcoming=[4, 5])[1]["next"] == 5


def test_filters_find_what_they_say(page: Served) -> None:
    review, items = page.site.review, page.site.queue.items
    given, suggested = items[0].given, items[0].suggested
    found = review.select(Filter(given=given, suggested=suggested), "Ada")
    assert found == [i for i in items if (i.given, i.suggested) == (given, suggested)]
    middle = sorted(i.score for i in items)[len(items) // 2]
    assert {i.score <= middle for i in review.select(Filter(high=middle), "Ada")} == {True}
    by_gain = [i.gain for i in review.select(Filter(sort="gain"), "Ada")]
    assert by_gain == sorted(by_gain, reverse=True)
    by_influence = [i.influence for i in review.select(Filter(sort="influence"), "Ada")]
    assert by_influence == sorted(by_influence)
    Client(page.address).decide(items[0], "drop")
    assert review.select(Filter(state="drop"), "Ada") == [items[0]]
    assert len(review.select(Filter(state="todo"), "Ada")) == len(items) - 1


def test_a_selection_is_applied_as_a_whole_or_not_at_all(page: Served, out: Path) -> None:
    client = Client(page.address)
    count = len(page.site.queue.items)
    body = {"decision": "suggestion", "filter": {"state": "todo"}, "action": "d" * 16}
    status, answer = client.post("/api/decide-many", {**body, "expected": count - 1})
    assert status == 409
    assert str(count) in answer["error"]
    assert read_log(out) == []
    assert client.post("/api/decide-many", {**body, "expected": count})[1]["rows"] == count
    # The answer was lost and the page asks again: the filter finds nothing now, and nothing is written twice.
    assert client.post("/api/decide-many", {**body, "expected": count})[1]["rows"] == count
    assert len(read_log(out)) == count
    assert client.post("/api/undo", {"action": "e" * 16})[1]["rows"] == count
    assert len(page.site.review.select(Filter(), "Ada")) == count


def test_a_second_opinion_is_blind_and_a_third_is_not_asked(digits: Path, out: Path) -> None:
    options = ReviewOptions(second_opinion=1.0, hide_suggestion=True)
    with served(digits, out, options=options) as site:
        ada, bo, cy = (Client(site.address, reviewer=name) for name in ("Ada", "Bo", "Cy"))
        item = site.site.queue.items[0]
        ada.decide(item, "suggestion", comment="obviously")
        blind = bo.page("/item/0")
        assert "Ada" not in blind
        assert "obviously" not in blind
        assert 'data-suggested=""' in blind
        assert "Suggested" not in blind
        assert item.reason not in blind
        assert bo.get("/api/order")["order"][0] == 0
        bo.decide(item, "keep")
        assert 0 not in cy.get("/api/order")["order"]
        assert cy.get("/api/order?state=disagree")["order"] == [0]
        settle = cy.page("/item/0")
        assert "Ada" in settle
        assert "Bo" in settle
        cy.decide(item, "suggestion", seen=True)
        assert site.site.review.status(item, "Ada") == "relabel"
        assert [row.role for row in read_log(out)] == ["first", "second", "adjudication"]
        assert "Ada and Bo" in ada.page("/insights")


def test_what_was_settled_in_an_earlier_run_is_not_asked_again(digits: Path, out: Path) -> None:
    app = create_app(digits, out, control_share=0)
    review: Review = app.state.site.review
    first, second = review.queue.items[:2]
    earlier = review._draft_decision(first, Answer("relabel", second.given), "Ada")
    # The content of the second item was looked at in another run, and decided to be what it is labeled now.
    review.log.append(
        [
            replace(earlier, content_hash=second.key.content_hash, given_label="?", run="earlier"),
            replace(earlier, run="earlier"),
        ]
    )
    again = create_app(digits, out, control_share=0).state.site.review
    assert again.status(first, "Ada") == "relabel"
    assert again.status(second, "Ada") == "settled"
    assert again.count_open("Ada") == len(review.queue.items) - 2


def test_the_command_serves_the_page_and_says_where(out: Path) -> None:
    server = Process(out, "digits-run", "--reviewer", "Ada", "--port", "0")
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.address)
        assert Client(server.address).request("GET", "/review")[0] == 200
    finally:
        server.kill()
    assert log_path(out).exists()


def test_a_port_that_is_taken_is_one_clear_line(page: Served, out: Path) -> None:
    port = page.address.rpartition(":")[2]
    with pytest.raises(AssertionError, match=rf"error: 127.0.0.1:{port}: cannot listen there .*--port"):
        Process(out, "digits-run", "--port", port)
