"""What scores mean and where to start: link, posterior and initial score, against their definitions by brute force."""

import itertools

import cases
import numpy as np
import pytest
from scipy import optimize

import fastloss as fl

CONFIGURED = [(case, parameters) for case in (*cases.CASES, *cases.SETS) for parameters in case.parameters]
LINKS = {"identity": lambda z: z, "sigmoid": fl.sigmoid, "softmax": fl.softmax}
POSTERIORS = [pair for pair in CONFIGURED if pair[0].domain in ("class", "probability")]


def label(pair):
    return f"{pair[0]}-{cases.label(pair[1])}"


@pytest.fixture(params=CONFIGURED, ids=label)
def configured(request):
    case, parameters = request.param
    return case, cases.resolve(parameters, 3)


def no_minimum(parameters):
    """One label has no weight: every score of the other is too low."""
    return parameters.get("alpha") in (0.0, 1.0) and "beta" not in parameters


# ------------------------------------------------------------------------------------ link


def test_inverse_link(configured, dtype):
    case, parameters = configured
    loss = case.build(parameters)
    z = cases.draw_prediction(np.random.default_rng(0), (9, 3), dtype)
    found = loss.inverse_link(z)
    assert found.dtype == dtype
    if case.inverse_link in LINKS:
        assert cases.same_bits(found, LINKS[case.inverse_link](z))
        return
    wide = z.astype(np.longdouble)
    exact = {"exp": np.exp(wide), "sigmoid of twice": 1 / (1 + np.exp(-2 * wide))}[case.inverse_link]
    np.testing.assert_allclose(found, exact.astype(dtype), rtol=4 * np.finfo(dtype).eps)


# ------------------------------------------------------------------------------- posterior


def unclipped(proba):
    return (proba > 1e-6) & (proba < 1 - 1e-6)


@pytest.mark.parametrize("pair", POSTERIORS, ids=label)
def test_predict_proba_is_the_posterior(pair):
    """The probability for which the score is the best one: the expected gradient there is 0."""
    case, parameters = pair[0], cases.resolve(pair[1], 3)
    loss = case.build(parameters)
    z = cases.draw_prediction(np.random.default_rng(0), (400, 3))
    if not case.has_posterior:
        with pytest.raises(NotImplementedError, match=r"\w+ \w+ \w+ \w+ "):
            loss.predict_proba(z)
        return
    if no_minimum(parameters):
        pytest.skip("one label has no weight: every score is as good")
    if parameters.get("epsilon", 0.0) <= -1:
        pytest.skip("not a proper loss")
    if parameters.get("q") == 1.0:
        pytest.skip("an absolute error of probabilities: its minimum is a corner")
    proba = loss.predict_proba(z)
    assert proba.shape == z.shape
    inside = unclipped(proba)
    if case.rowwise:
        np.testing.assert_allclose(proba.sum(axis=-1), 1, rtol=1e-12)
        inside = inside.all(axis=-1)
    assert inside.sum() > 50
    z, proba = z[inside], proba[inside]
    # The expectation over labels drawn with these probabilities is the loss of the soft target.
    gradient = loss.gradient(z, proba, reduction="none")
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


@pytest.mark.parametrize("pair", [pair for pair in CONFIGURED if pair not in POSTERIORS], ids=label)
def test_no_posterior_of_what_is_no_class(pair):
    case, parameters = pair
    loss = case.build(parameters)
    if case.setwise:
        with pytest.raises(NotImplementedError):
            loss.predict_proba(np.zeros(3))
    else:
        assert not hasattr(loss, "predict_proba")


@pytest.mark.parametrize(
    "name", ["CrossEntropy", "BinaryCrossEntropy", "Focal", "BinaryFocal", "Brier", "KLDivergence"]
)
def test_predict_proba_without_options_is_the_link(name, dtype):
    loss = getattr(fl, name)(**({"gamma": 0.0} if "Focal" in name else {}))
    z = cases.draw_prediction(np.random.default_rng(0), (20, 4), dtype)
    found = loss.predict_proba(z)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, loss.inverse_link(z), rtol=16 * np.finfo(dtype).eps)


def test_predict_proba_of_margins(dtype):
    z = np.array([-np.inf, -3, -1, -0.5, 0, 0.5, 1, 3, np.inf, np.nan], dtype)
    for loss in (fl.SquaredHinge(), fl.ModifiedHuber()):
        found = loss.predict_proba(z)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, np.nan])
    found = fl.Exponential().predict_proba(z)
    np.testing.assert_allclose(found, fl.sigmoid(2 * z), rtol=8 * np.finfo(dtype).eps)


def test_predict_proba_at_extreme_scores(dtype):
    big = np.array([-1e4, -200, 200, 1e4, -np.inf, np.inf], dtype)
    rows = np.stack([big, np.zeros_like(big)], axis=1)
    for gamma in (0.0, 0.5, 2.0, 5.0):
        for alpha in (None, 0.25):
            found = fl.BinaryFocal(gamma=gamma, alpha=alpha).predict_proba(big)
            np.testing.assert_allclose(found, [0, 0, 1, 1, 0, 1], atol=1e-6)
    losses = [fl.Focal(gamma=gamma) for gamma in (0.0, 0.5, 2.0, 5.0)]
    losses += [fl.Poly1(), fl.Poly1(epsilon=-0.5), fl.KLDivergence(), fl.GeneralizedCrossEntropy()]
    for loss in losses:
        found = loss.predict_proba(rows)
        np.testing.assert_allclose(found[:, 0], [0, 0, 1, 1, 0, 1], atol=1e-6)
        np.testing.assert_allclose(found[:, 1], [1, 1, 0, 0, 1, 0], atol=1e-6)
    for loss in (fl.BinaryFocal(), fl.Brier(), fl.Exponential()):
        np.testing.assert_allclose(loss.predict_proba(big), [0, 0, 1, 1, 0, 1], atol=1e-6)
        assert np.isnan(loss.predict_proba(np.array([np.nan], dtype))).all()


# --------------------------------------------------------------------------- initial score


def draw_targets(setup, rng, n):
    case = setup.case
    if case.rowwise:
        t = rng.choice(3, n, p=[0.7, 0.2, 0.1])
        return t if setup.kind == "index" else np.abs(np.eye(3)[t] - rng.uniform(0, 0.3, (n, 3)))
    if case.domain == "probability":
        t = (rng.uniform(size=n) < 0.1).astype(float)
        return t if setup.kind == "hard" else np.abs(t - rng.uniform(0, 0.4, n))
    if case.domain == "real":
        # Outliers, ties and a gap.
        return np.concatenate([np.round(rng.normal(3, 2, n - n // 5), 1), rng.normal(30, 3, n // 5)])
    return cases.draw_target(rng, setup.kind, n)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 2, 101])
def test_init_score_minimises_the_loss(setup, weighted, n):
    case, parameters = setup.case, setup.parameters(3)
    if no_minimum(parameters):
        pytest.skip("one label has no weight: the loss has no minimum")
    loss = setup.build(3)
    rng = np.random.default_rng(n)
    t = draw_targets(setup, rng, n)
    w = rng.uniform(0, 2, n) if weighted else None
    if case.rowwise:
        check_row_score(case, parameters, loss, t, w, n)
        return
    score = loss.init_score(t, sample_weight=w)
    assert type(score) is float

    def mean(z):
        return loss(np.full(n, z), t, sample_weight=w)

    best = mean(score)
    one_label = case.domain == "probability" and len(np.unique(t)) == 1 and t[0] in (0, 1)
    if one_label and not parameters.get("label_smoothing"):
        # The minimum is infinite: a finite score that is next to nothing from it.
        assert best <= loss(np.zeros(n), t, sample_weight=w) * 1e-6
        return
    # A grid finds the valley, whatever its shape; then its lowest point.
    grid = np.unique(np.concatenate([np.linspace(-40, 60, 1001), t if case.domain == "real" else t * 0, [score]]))
    values = np.array([mean(z) for z in grid])
    z = grid[np.argmin(values)]
    found = optimize.minimize_scalar(mean, bounds=(z - 0.2, z + 0.2), options={"xatol": 1e-10})
    least = min(found.fun, values.min())
    assert best <= least + 1e-10 * max(1.0, abs(least)), (score, best, found.x, least)
    if not case.kinks(**parameters) and abs(score) < 30:
        scale = np.abs(loss.gradient(np.full(n, score), t, sample_weight=w)).sum() + 1
        assert abs(loss.gradient(np.full(n, score), t, sample_weight=w).sum()) < 1e-9 * scale


def check_row_score(case, parameters, loss, t, w, n):
    options = {"n_classes": 3} if np.ndim(t) == 1 else {}
    score = loss.init_score(t, sample_weight=w, **options)
    assert score.shape == (3,)
    assert np.isfinite(score).all()

    def mean(z):
        return loss(np.tile(z, (n, 1)), t, sample_weight=w)

    value = mean(score)
    # No class may be missing for a finite minimum, and a start near it.
    starts = [np.zeros(3), score, *(5 * np.eye(3)), *np.random.default_rng(0).normal(size=(4, 3)) * 3]
    found = [optimize.minimize(mean, start, method="Nelder-Mead", options={"maxiter": 1500}).fun for start in starts]
    assert value <= min(found) + 1e-7 * max(1.0, abs(value)), (score, value, min(found))
    if (
        case.gap is None
        and len(np.unique(t if np.ndim(t) == 1 else t.argmax(axis=1))) == 3
        and parameters.get("q") != 1
    ):
        gradient = loss.gradient(np.tile(score, (n, 1)), t, sample_weight=w)
        np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-9)


def test_init_score_of_one_label_is_finite(configured):
    case, parameters = configured
    loss = case.build(parameters)
    if case.domain == "real":
        assert loss.init_score(np.full(5, 2.5)) == pytest.approx(2.5)
        return
    if case.inverse_link == "exp":
        assert loss.init_score(np.full(5, 2.5)) == pytest.approx(np.log(2.5))
        if case.domain == "count":
            assert -1e3 < loss.init_score(np.zeros(5)) < -10
        return
    if no_minimum(parameters):
        pytest.skip("one label has no weight")
    for label in (0, 1):
        score = loss.init_score(np.full(9, label), **({"n_classes": 3} if case.rowwise else {}))
        assert np.isfinite(score).all()


def test_init_score_of_hinges():
    """A corner, not a root."""
    loss = fl.Hinge()
    assert loss.init_score([1, 1, 0]) == 1
    assert loss.init_score([1, 0, 0]) == -1
    assert loss.init_score([1, 0]) == 0
    assert loss.init_score([1, 0, 0], sample_weight=[3, 1, 1]) == 1
    for margin, t in itertools.product((1.0, 0.25), ([0, 1, 1, 1, 2], [2])):
        score = fl.MulticlassHinge(margin=margin).init_score(t, n_classes=3)
        assert np.argmax(score) == t[-2 if len(t) > 1 else 0]
        assert np.max(score) - np.sort(score)[-2] == pytest.approx(margin)
        assert score.sum() == pytest.approx(0, abs=1e-15)
    assert fl.MulticlassHinge().init_score([0, 1, 2, 1]).tolist() == [0, 0, 0]


def test_init_score_is_what_predict_proba_inverts():
    """The posterior at the start is the share of the labels."""
    t = np.array([0] * 70 + [1] * 30)
    for loss in (fl.SquaredHinge(), fl.ModifiedHuber(), fl.Exponential(), fl.Brier(), fl.BinaryFocal(gamma=1.5)):
        assert float(loss.predict_proba(loss.init_score(t))) == pytest.approx(0.3, abs=1e-9), loss
    rows = np.array([0] * 50 + [1] * 30 + [2] * 20)
    for loss in (
        fl.KLDivergence(),
        fl.Poly1(),
        fl.Poly1(epsilon=-0.9),
        fl.Poly1(epsilon=20.0),
        fl.GeneralizedCrossEntropy(q=0.3),
        fl.Focal(gamma=3.0),
        fl.CrossEntropy(label_smoothing=0.2),
    ):
        np.testing.assert_allclose(
            loss.predict_proba(loss.init_score(rows)), [0.5, 0.3, 0.2], atol=1e-9, err_msg=str(loss)
        )


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_init_score_of_sets(set_case, smooth):
    loss = set_case.build({"smooth": smooth})
    rng = np.random.default_rng(0)
    t = (rng.uniform(size=(60, 3)) < [0.05, 0.5, 0.95]).astype(float)
    w = rng.uniform(0, 2, (60, 3))
    grid = np.linspace(-40, 40, 321)
    for weight in (None, w):
        for axis in (None, 0):
            score = np.asarray(loss.init_score(t, sample_weight=weight, axis=axis))
            assert np.isfinite(score).all()
            options = {"sample_weight": weight, "axis": axis, "reduction": "none"}
            best = loss(np.broadcast_to(score, t.shape), t, **options)
            least = np.min([loss(np.full(t.shape, z), t, **options) for z in grid], axis=0)
            assert np.all(best <= least + 1e-12)


def test_init_score_refuses(configured):
    case, parameters = configured
    loss = case.build(parameters)
    with pytest.raises(ValueError, match=r"target|count|weight"):
        loss.init_score(np.zeros(0))
    t = np.ones(4, np.int64)
    with pytest.raises(ValueError, match="weight"):
        loss.init_score(t, sample_weight=np.zeros(4))
    with pytest.raises(ValueError, match="sample_weight"):
        loss.init_score(t, sample_weight=[1, 1, -1, 1])
    with pytest.raises(TypeError, match="target"):
        loss.init_score(None)
    if case.domain != "real":
        with pytest.raises(ValueError, match="target"):
            loss.init_score([1.0, -1.0, 1.0])
    if case.domain == "positive":
        with pytest.raises(ValueError, match="target"):
            loss.init_score([1.0, 0.0, 1.0])


def test_init_score_leaves_out_what_weighs_nothing(configured):
    case, parameters = configured
    if no_minimum(parameters):
        pytest.skip("one label has no weight")
    loss = case.build(parameters)
    options = {"n_classes": 3} if case.rowwise else {}
    t = np.array([0, 1, 1, 2, 0, 1]) if case.rowwise else np.array([1, 0.5, 1, 1, 0.25, 1])
    if case.domain not in ("class",):
        spoilt = np.concatenate([t, [np.nan, -5.0]])
    else:
        spoilt = np.concatenate([t, [77, -5]])
    w = np.array([1, 2, 1, 1, 1, 1])
    one = loss.init_score(t, sample_weight=w, **options)
    other = loss.init_score(spoilt, sample_weight=np.concatenate([w, [0, 0]]), **options)
    np.testing.assert_allclose(other, one, rtol=1e-12)
