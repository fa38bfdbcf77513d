"""Brier scores and areas under curves of censored times: against scikit-survival, lifelines and the text book."""

import numpy as np
import pytest

import fastloss as fl

N = 120


def study(seed=0, n=N, ties=False):
    """Targets, those of a training set, risks, curves at some times, weights."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)

    def target(risk):
        times, end = rng.exponential(size=len(risk)) * np.exp(-risk), rng.exponential(size=len(risk)) * 2 + 0.05
        if ties:
            times, end = np.ceil(times * 5), np.ceil(end * 5)
        return fl.survival_target(np.minimum(times, end), times <= end)

    y, train = target(risk), target(rng.normal(size=2 * n))
    at = np.quantile(np.abs(y), [0.1, 0.3, 0.5, 0.7])
    at = np.unique(np.round(at)) if ties else at
    curves = np.exp(-at * np.exp(risk)[:, None] / (5 if ties else 1))
    return y, train, np.round(risk, 1), at, curves, rng.choice([0.0, 1.0, 2.0], n)


def watched_longer(known, weight, t, inclusive):
    """Kaplan and Meier, by the text book; `inclusive`: as long as t."""
    product = 1.0
    for u in np.unique(np.abs(known)):
        if u < t or (u == t and not inclusive):
            censored = weight[(known < 0) & (-known == u)].sum()
            at_risk = weight[np.abs(known) >= u].sum() - weight[(known > 0) & (known == u)].sum()
            product *= 1 - censored / at_risk if censored else 1.0
    return product


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_the_text_books(ties, weighted):
    for seed in range(3):
        y, _, risk, at, curves, weight = study(seed, 40, ties)
        w = weight if weighted else np.ones(40)
        brier, area = np.zeros(len(at)), np.zeros(len(at))
        for k, t in enumerate(at):
            pairs = won = 0.0
            for i in range(40):
                if abs(y[i]) > t and w[i] > 0:
                    brier[k] += w[i] * (1 - curves[i, k]) ** 2 / watched_longer(y, w, t, False)
                elif y[i] > 0 and w[i] > 0:
                    case = w[i] / watched_longer(y, w, y[i], True)
                    brier[k] += case * curves[i, k] ** 2
                    later = w * (np.abs(y) > t)
                    pairs += case * later.sum()
                    won += case * (later @ ((risk < risk[i]) + 0.5 * (risk == risk[i])))
            area[k] = won / pairs if pairs else np.nan
        given = {"sample_weight": w} if weighted else {}
        found = fl.integrated_brier_score(y, curves, at, reduction="none", **given)
        np.testing.assert_allclose(found, brier / w.sum(), rtol=1e-12)
        np.testing.assert_allclose(fl.time_dependent_auc(y, risk, at, **given), area, rtol=1e-12)
        mean = np.sum((found[1:] + found[:-1]) / 2 * np.diff(at)) / (at[-1] - at[0])
        assert fl.integrated_brier_score(y, curves, at, **given) == pytest.approx(mean, rel=1e-12)


def test_scores_are_scikit_survivals():
    metrics = pytest.importorskip("sksurv.metrics")
    for seed in range(3):
        y, train, risk, at, curves, _ = study(seed)
        theirs, known = (
            np.array([(each > 0, abs(each)) for each in target], [("event", bool), ("time", float)])
            for target in (y, train)
        )
        _, expected = metrics.brier_score(known, theirs, curves, at)
        found = fl.integrated_brier_score(theirs, curves, at, train_target=known, reduction="none")
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        expected = metrics.integrated_brier_score(known, theirs, curves, at)
        found = fl.integrated_brier_score(y, curves, at, train_target=train)
        assert found == pytest.approx(expected, rel=1e-10)
        expected, _ = metrics.cumulative_dynamic_auc(known, theirs, risk, at)
        np.testing.assert_allclose(fl.time_dependent_auc(y, risk, at, train_target=train), expected, rtol=1e-10)
        each = risk[:, None] * at
        expected, _ = metrics.cumulative_dynamic_auc(known, theirs, each, at)
        np.testing.assert_allclose(fl.time_dependent_auc(y, each, at, train_target=train), expected, rtol=1e-10)


def test_the_weights_are_lifelines():
    """One over lifelines' Kaplan-Meier estimate of the censoring, without ties."""
    lifelines = pytest.importorskip("lifelines")
    y, train, _, at, curves, _ = study(4)
    estimate = lifelines.KaplanMeierFitter().fit(np.abs(train), train < 0)
    g = lambda times: estimate.survival_function_at_times(times).to_numpy()
    later = np.abs(y)[:, None] > at
    each = np.where(later, (1 - curves) ** 2 / g(at), np.where(y[:, None] > 0, curves**2 / g(np.abs(y))[:, None], 0.0))
    found = fl.integrated_brier_score(y, curves, at, train_target=train, reduction="none")
    np.testing.assert_allclose(found, each.mean(axis=0), rtol=1e-10)


def test_without_censoring_they_are_means_and_areas():
    y, _, risk, at, curves, _ = study()
    y = np.abs(y)
    lives = y[:, None] > at
    found = fl.integrated_brier_score(y, curves, at, reduction="none")
    np.testing.assert_allclose(found, np.mean((curves - lives) ** 2, axis=0), rtol=1e-12)
    metrics = pytest.importorskip("sklearn.metrics")
    expected = [metrics.roc_auc_score(~lives[:, k], risk) for k in range(len(at))]
    np.testing.assert_allclose(fl.time_dependent_auc(y, risk, at), expected, rtol=1e-12)
    assert fl.integrated_brier_score(y, curves[:, :1], at[:1]) == found[0]


def test_ends_of_the_times():
    y = [1.0, -2.0, 3.0, -4.0]
    assert np.isnan(fl.time_dependent_auc(y, [4, 3, 2, 1], [0.5, 3.5, 5.0])).tolist() == [True, False, True]
    assert fl.integrated_brier_score(y, np.zeros((4, 2)), [5.0, 6.0]) == 0  # the last is censored by then


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, at, s: fl.integrated_brier_score(y, s[:, 1:], at), r"survival must have shape \(120, 4\)"),
        (lambda y, at, s: fl.integrated_brier_score(y, s + 1, at), r"survival\[0, 0\] = 1\.\d+ must lie in \[0, 1\]"),
        (lambda y, at, s: fl.integrated_brier_score(y, s, at[::-1]), "times must hold a time or several that rise"),
        (lambda y, at, s: fl.integrated_brier_score(y, s, -at), r"times\[0\] = -\d\.\d+ must be >= 0"),
        (lambda y, at, s: fl.integrated_brier_score(y, s, [at]), "times must have one dimension"),
        (lambda y, at, s: fl.integrated_brier_score(y, s, at, reduction="sum"), "reduction"),
        (lambda y, at, s: fl.integrated_brier_score(y, s, at, sample_weight=0 * y), "target has no row that counts"),
        (
            lambda y, at, s: fl.integrated_brier_score(y, s, at, train_target=[-1e-3]),
            r"target\[\d+\] is an event at a time up to which no row of train_target was watched",
        ),
        (
            lambda y, at, s: fl.integrated_brier_score(-np.abs(y), s, at, train_target=[-1e-3]),
            r"times\[0\] = \d\.\d+ is a time up to which no row",
        ),
        (lambda y, at, s: fl.time_dependent_auc(y, s[:, 0] * np.nan, at), r"risk\[0, 0\] = nan must be a number"),
        (lambda y, at, s: fl.time_dependent_auc(y, s[:5, 0], at), r"risk must hold one element per row"),
        (lambda y, at, s: fl.time_dependent_auc(y, s[:, :2], at), r"risk must have shape \(120, 4\)"),
    ],
)
def test_errors_name_the_place(call, message):
    y, _, _, at, curves, _ = study()
    with pytest.raises(ValueError, match=message):
        call(y, at, curves)
