"""Models of other kinds: out of fold, the same ones each time, chosen by name, in the score beside the heads."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import average_precision_score

from tasks.attribute import AuditOptions, audit
from tasks.attribute.checks import check_samples
from tasks.attribute.doubts import Doubts, Way
from tasks.controls.estimate import Estimate, Quality
from tasks.controls.intervals import widen_quality
from tasks.controls.trust import judge_trust
from tasks.heads.model import RoundStore
from tasks.opinions import ask_kinds, explain_absence, find_kind
from tasks.options import KINDS
from tasks.storage import write_json
from tasks.word_weights import TERMS, WORDS, find_telling_words, read_terms

NUMBERS = ("boosting", "lda", "neighbours", "trees")


def samples_of(features, labels, options):
    return check_samples(features, labels, options, trusted=None, votes=None, groups=None, feature_shape=None)


def rings(n=600, seed=0):
    """Return a ring around a disc, which no linear model on the features tells apart."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    radius, angle = 1 + 2 * labels + 0.4 * generator.normal(size=n), 2 * np.pi * generator.random(n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), labels


@pytest.mark.parametrize("name", NUMBERS)
def test_an_opinion_never_saw_the_label_that_it_judges(name):
    features, labels = rings(200)
    options = AuditOptions(models=f"heads,{name}")
    samples = samples_of(features, labels, options)
    design, flipped = samples.design(options), samples.labels.clone()
    flipped[7] = 1 - flipped[7]
    [first] = ask_kinds(samples, design, options)
    [second] = ask_kinds(replace(samples, labels=flipped), design, options)
    assert torch.equal(first.log_p[7], second.log_p[7])
    assert not torch.equal(first.log_p, second.log_p)
    assert first.log_p.exp().sum(1).numpy() == pytest.approx(np.ones(200), abs=1e-4)


@pytest.mark.parametrize("name", NUMBERS)
def test_an_opinion_is_the_same_wherever_the_samples_stand(name):
    features, labels = rings(200)
    options = AuditOptions(models=f"heads,{name}")
    shuffled = np.random.default_rng(1).permutation(200)
    said = []
    for order in (np.arange(200), shuffled):
        samples = samples_of(features[order], labels[order], options)
        said.append(ask_kinds(samples, samples.design(options), options)[0].log_p)
    assert torch.allclose(said[0][torch.from_numpy(shuffled)], said[1], atol=1e-5)


def test_names_choose_kinds_and_a_minus_leaves_one_out():
    features, labels = rings(120)
    for models, kinds in (("heads", []), ("trees, lda", ["lda", "trees"]), ("-boosting", [*NUMBERS[1:]])):
        found = audit(features, labels, AuditOptions(models=models, rounds=1))
        assert [opinion.name for opinion in found.opinions] == kinds
    for wrong in ("forests", "-heads", "trees,-lda"):
        with pytest.raises(ValidationError, match="must name some of heads"):
            AuditOptions(models=wrong)


def test_where_there_are_none_the_reason_is_said():
    features, labels = rings(120)
    options = AuditOptions(evaluation="holdout")
    samples = samples_of(features, labels, options)
    assert explain_absence(samples, options) == "a held-out split has no folds"
    many = replace(samples, n_classes=100_000)
    assert explain_absence(many, AuditOptions()) == "there are 100,000 classes"
    assert audit(features, labels, options).opinions == []


def test_opinions_find_what_a_linear_head_cannot_see():
    features, truth = rings()
    given = np.where(np.random.default_rng(3).random(len(truth)) < 0.1, 1 - truth, truth)
    alone, both = (
        audit(features, given, AuditOptions(feature_map="raw", models=models)) for models in ("heads", None)
    )
    wrong = given != truth
    assert average_precision_score(wrong, -both.score) > average_precision_score(wrong, -alone.score) + 0.3


def test_texts_are_heard_as_they_are():
    generator = np.random.default_rng(0)
    truth = np.arange(300) % 2
    texts = [
        f"{'good' if label else 'bad'} {' '.join(generator.choice(list('abcdefgh'), 5))}" for label in truth
    ]
    given = np.where(generator.random(300) < 0.1, 1 - truth, truth)
    noise, wrong = generator.normal(size=(300, 3)), given != truth
    deaf, found = audit(noise, given), audit(noise, given, texts=texts)
    assert [opinion.name for opinion in found.opinions] == ["bayes", "characters", "words"]
    precision, blind = (average_precision_score(wrong, -one.score) for one in (found, deaf))
    assert precision > max(0.7, blind + 0.4)


def test_a_finished_opinion_is_taken_up_and_one_of_other_data_is_not(tmp_path, monkeypatch):
    features, labels = rings(120)
    options = AuditOptions(models="lda,neighbours")
    samples = samples_of(features, labels, options)

    def ask(key):
        return ask_kinds(samples, samples.design(options), options, None, RoundStore(tmp_path, key))

    first = ask("one")
    asked = []
    for name in ("lda", "neighbours"):
        kind = find_kind(name)
        made = kind.make
        monkeypatch.setattr(kind, "make", lambda *a, made=made, name=name: asked.append(name) or made(*a))
    (tmp_path / "neighbours.safetensors").unlink()  # killed before the second
    again = ask("one")
    assert set(asked) == {"neighbours"}
    assert all(torch.equal(a.log_p, b.log_p) for a, b in zip(first, again, strict=True))
    ask("two")
    assert set(asked) == {"lda", "neighbours"}


def test_the_data_say_whether_errors_follow_the_classes_or_the_samples():
    generator = np.random.default_rng(0)
    truth = np.arange(900) % 3
    features = 2.5 * np.eye(3)[truth] + generator.normal(size=(900, 3))
    swapped = np.where((truth == 0) & (generator.random(900) < 0.3), 1, truth)
    assert audit(features, swapped).doubts.kind == "class"
    hard = np.sort(features, axis=1)[:, -1] - np.sort(features, axis=1)[:, -2] < 0.8
    guessed = np.where(hard & (generator.random(900) < 0.5), features.argsort(1)[:, -2], truth)
    assert audit(features, guessed).doubts.kind == "sample"


def doubts(skill, certainty, purity, flagged=100):
    """Return what is known of 1,000 samples, of which `flagged` are flagged."""
    ways = {
        name: Way(150.0, 90.0, purity * flagged) for name in ("sharpness 3", "sharpness 2", "sharpness 4")
    }
    ways |= {"differs": Way(200.0, 200.0, flagged), "doubted": Way(200.0, 80.0, purity * flagged / 2)}
    return Doubts(
        "class" if certainty > 0 else "sample",
        1_000,
        flagged,
        certainty / 100,
        certainty,
        100 * skill,
        skill,
        ways,
    )


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        (doubts(0.9, 9.0, 0.9), "strong"),
        (doubts(0.9, 9.0, 0.5), "fair"),
        (doubts(0.5, -1.0, 0.5), "fair"),
        (doubts(0.5, -5.0, 0.5), "weak"),
        (doubts(0.2, -5.0, 0.5), "weak"),
        (doubts(0.9, 9.0, 0.2), "weak"),
        (doubts(0.01, 9.0, 0.9), "cannot tell"),
    ],
)
def test_a_verdict_comes_before_the_figures_and_says_what_helps(known, verdict):
    trust = judge_trust(known, 0.6, {"planted": 50, "found": 40}, payload="text")
    assert trust.verdict == verdict
    assert (
        "80% of the samples; naming the largest class every time is right for 60%; 40 of 50 labels"
        in trust.why
    )
    assert bool(trust.helps) == (verdict != "strong")
    assert "--encoder" in trust.helps or verdict == "strong"


def test_a_few_hard_samples_of_clear_classes_make_no_weak_queue():
    known = replace(
        doubts(0.98, -1.0, 0.02, flagged=2), samples=30_000
    )  # of which 200 differ from what is predicted
    found = judge_trust(known, 0.4, {"planted": 17, "found": 16})
    assert found.verdict == "fair"
    assert "99.3% of the samples" in found.why
    assert "columns" not in found.helps
    assert judge_trust(known, 0.4, {"planted": 17, "found": 5}).verdict == "weak"


def test_a_share_that_nobody_knows_makes_no_strong_queue():
    controls = {"planted": 9, "found": 9, "noise_rate": {"estimate": 0.2, "low": 0.02, "high": 0.77}}
    assert judge_trust(doubts(0.9, 9.0, 0.9), 0.5, controls).verdict == "weak"


def test_intervals_span_every_way_to_tell_the_errors():
    narrow = Quality(
        50, 48, Estimate(0.96, 0.95, 0.97), Estimate(0.1, 0.09, 0.11), Estimate(0.8, 0.79, 0.81), ()
    )
    certain, doubtful = (widen_quality(narrow, doubts(0.4, certainty, 0.8)) for certainty in (9.0, -9.0))
    assert certain.noise_rate.low < 0.09
    assert certain.recall.high >= 0.97
    assert doubtful.recall.low < certain.recall.low
    assert doubtful.noise_rate.low == 0.0 < 0.2 <= doubtful.noise_rate.high
    assert doubtful.precision.low == 0.0 < 0.8 < doubtful.precision.high
    between = widen_quality(narrow, doubts(0.4, -1.0, 0.8))
    assert 0.0 < between.noise_rate.low <= 0.4 * 0.15
    assert 0.0 < between.precision.low < 0.4
    by_raters = Doubts("raters", 1_000, 100, None, None, None, None, {"sharpness 3": Way(1.0, 1.0, 1.0)})
    assert widen_quality(narrow, by_raters) == narrow


def test_every_kind_says_what_it_reads():
    assert {find_kind(name).CONTENT for name in KINDS} == {"numbers", "text"}


def test_words_speak_for_the_class_that_has_them_in_other_texts(tmp_path):
    words = {0: ["grim", "dull"], 1: ["bright", "warm"]}
    labels = np.arange(100) % 2
    texts = [f"A {words[label][n // 2 % 2]} film, number{n}" for n, label in enumerate(labels)]
    texts[0], labels[0] = "A Bright film: zyzzyva!", 0  # a wrong label, and a word that nobody else has
    options = AuditOptions(models="heads,words")
    samples = samples_of(np.random.default_rng(0).normal(size=(100, 2)), labels, options)
    folder = (tmp_path / TERMS).parent
    ask_kinds(samples, samples.design(options), options, lambda: texts, RoundStore(folder, ""))
    write_json(["bad", "good"], tmp_path / "model" / "labels.json")
    found = find_telling_words(texts[0], "bad", "good", read_terms(tmp_path))
    spoken = {texts[0][word.start : word.end]: word.label for word in found if word.weight > 0.1}
    assert spoken["Bright"] == "good"
    assert "zyzzyva" not in spoken
    assert read_terms(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("text", ["हिन्दी भाषा", "ไม่ รู้", "naïve e\u0301te\u0301", "can't 好"])
def test_a_word_keeps_the_marks_on_its_letters(text):
    pieces = [piece for word in text.split() for piece in (["can", "'", "t"] if "'" in word else [word])]
    assert re.findall(WORDS, text) == pieces
