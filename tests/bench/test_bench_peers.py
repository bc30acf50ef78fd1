"""Peers are judged on what their packages say, and no method sees the held-out labels."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tasks.bench.datasets import LabeledData, learn_table_encoder, load_data, standardise
from tasks.bench.helpers import ROOT
from tasks.bench.influence_peers import convert_regression
from tasks.bench.inputs.peers import score_boosting, score_encoder_by_fold, score_encoder_once
from tasks.bench.quality.case import Case
from tasks.bench.quality.noise import plant
from tasks.bench.quality.ours import list_ours
from tasks.bench.quality.peers import list_peers, pydvl_mean_influence, pydvl_self_influence

for package in ("cleanlab", "aum", "kronfluence"):
    pytest.importorskip(package)


def test_peers_of_tables_see_a_raw_frame_and_find_most_errors():
    frame = (
        pd.read_csv(ROOT / "data" / "penguins.csv")
        .sample(frac=1, random_state=0)
        .head(150)
        .reset_index(drop=True)
    )
    labels = pd.factorize(frame["species"])[0].astype(np.int64)
    data = LabeledData("penguins", frame.drop(columns="species"), labels, learn=learn_table_encoder)
    given = plant("uniform", np.zeros((150, 0)), labels, 0.1, seed=0)
    for score in (score_boosting, score_encoder_once, score_encoder_by_fold):
        assert roc_auc_score(given != labels, -score(data, given, 0)) > 0.9, score


def make_case(name, seed=0, rate=0.15):
    data = load_data(name)
    (features,) = standardise(data.features)
    return Case(
        features, plant("uniform", features, data.labels, rate, seed), data.classes, seed
    ), data.labels


@pytest.fixture(scope="module")
def wine():
    return make_case("wine")


@pytest.mark.parametrize("method", [*list_peers(), *list_ours()], ids=lambda method: method.name)
def test_every_method_ranks_planted_errors_above_chance(wine, method):
    case, labels = wine
    verdict = method.judge(case)
    assert verdict.score.shape == labels.shape
    # Unweighted mean influence on noisy evaluation labels is near chance, which is what it is there to show.
    assert roc_auc_score(case.labels != labels, -verdict.score) > (
        0.45 if method.name == "mean influence" else 0.85
    )
    for answer in (verdict.flagged, verdict.suggested):
        assert answer is None or answer.shape == labels.shape


@pytest.mark.parametrize("method", [*list_peers(), list_ours()[0]], ids=lambda method: method.name)
def test_same_seed_gives_the_same_verdict(method):
    first, second = (method.judge(make_case("iris")[0]) for _ in range(2))
    assert np.array_equal(first.score, second.score)


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_head_is_scikit_learns_logistic_regression(name):
    case, _ = make_case(name)
    head = convert_regression(case.model)
    found = torch.softmax(head(torch.as_tensor(case.features)), dim=1).detach().numpy()
    assert np.allclose(found, case.model.predict_proba(case.features))


def test_out_of_fold_probabilities_do_not_know_the_held_out_labels(wine):
    case, _ = wine
    fit, held = case.folds[0]
    found = case.fit_model(fit).predict_proba(case.features[held])
    assert np.allclose(found, case.probabilities[held], atol=1e-8)


def dense(case, model, rows, fitted):
    """Gradients (n, P) of the given labels' losses, and the Hessian (P, P) of their mean plus the l2 of the fitted rows."""
    inputs = np.column_stack([case.features[rows], np.ones(len(rows))])
    p = model.predict_proba(case.features[rows])
    gradients = np.einsum("nc,nd->ncd", p - np.eye(case.classes)[case.labels[rows]], inputs)
    curvature = np.einsum("nc,ck->nck", p, np.eye(case.classes)) - np.einsum("nc,nk->nck", p, p)
    hessian = np.einsum("nck,nd,ne->cdke", curvature, inputs, inputs) / len(rows)
    size = inputs.shape[1] * case.classes
    return gradients.reshape(len(rows), size), hessian.reshape(size, size) + np.eye(size) / len(fitted)


def test_pydvl_self_influence_is_the_dense_one(wine):
    case, _ = wine
    gradients, hessian = dense(case, case.model, *[np.arange(len(case.labels))] * 2)
    expected = np.einsum("np,np->n", gradients, np.linalg.solve(hessian, gradients.T).T)
    assert np.allclose(-pydvl_self_influence(case).score, expected, rtol=1e-6)


def test_pydvl_mean_influence_is_the_dense_one_averaged_over_held_out_samples(wine):
    case, _ = wine
    expected = np.zeros(len(case.labels))
    for fit, held in case.folds:
        model = case.fit_model(fit)
        gradients, hessian = dense(case, model, fit, fit)
        evaluation = dense(case, model, held, fit)[0].mean(axis=0)
        expected[fit] += gradients @ np.linalg.solve(hessian, evaluation) / (len(case.folds) - 1)
    assert np.allclose(pydvl_mean_influence(case).score, expected, rtol=1e-6, atol=1e-9)


def test_slow_peers_are_left_out_of_large_cases(wine):
    case, _ = wine
    large = Case(np.zeros((20_000, 128)), np.zeros(20_000, dtype=np.int64), classes=10, seed=0)
    limited = [method for method in list_peers() if method.limit is not None]
    assert limited
    assert all(method.runs_on(case) and not method.runs_on(large) for method in limited)
