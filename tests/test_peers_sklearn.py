"""scikit-learn: the private losses its estimators train with, and its metrics; both take the target first."""

import numpy as np
import pytest
from peers import assert_close, assert_same, draw, draw_weight

import fastloss as fl

metrics = pytest.importorskip("sklearn.metrics")
losses = pytest.importorskip("sklearn._loss.loss")
sgd = pytest.importorskip("sklearn.linear_model._sgd_fast")
linear_model = pytest.importorskip("sklearn.linear_model")

N = 200


def signs(t):
    """Targets 0 and 1 as SGD wants them: -1 and 1."""
    return 2 * t - 1


# -------------------------------------------------------------- sklearn._loss: with Hessians


TRAINING = {
    "HalfSquaredError": (losses.HalfSquaredError(), fl.SquaredError(), "real"),
    "HalfPoissonLoss": (losses.HalfPoissonLoss(), fl.Poisson(), "count"),
    "HalfGammaLoss": (losses.HalfGammaLoss(), fl.Gamma(), "positive"),
    "HalfTweedieLoss(1.2)": (losses.HalfTweedieLoss(power=1.2), fl.Tweedie(power=1.2), "count"),
    "HalfTweedieLoss(1.9)": (losses.HalfTweedieLoss(power=1.9), fl.Tweedie(power=1.9), "count"),
    "HalfBinomialLoss": (losses.HalfBinomialLoss(), fl.BinaryCrossEntropy(), "soft"),
    "ExponentialLoss": (losses.ExponentialLoss(), fl.Exponential(), "soft"),
}

training = pytest.mark.parametrize(("theirs", "loss", "kind"), TRAINING.values(), ids=list(TRAINING))


@training
def test_training_losses(dtype, theirs, loss, kind):
    """The private losses, raw scores through their link: value, gradient and Hessian are ours, but for one half.

    `HalfSquaredError` is half of ours. `HalfPoissonLoss`, `HalfGammaLoss`, `HalfTweedieLoss` and `HalfBinomialLoss` are
    halves of a deviance and equal to ours; all leave out the terms of the target alone. Soft targets mix, as here, also
    in `ExponentialLoss`: t e^-z + (1 - t) e^z.
    """
    z, t = draw(kind, (N,), dtype)
    factor = 2 if isinstance(loss, fl.SquaredError) else 1
    value, gradient, hessian = loss.value_gradient_and_hessian(z, t, reduction="none")
    assert_close(value, factor * theirs.loss(t, z), dtype)
    their_gradient, their_hessian = theirs.gradient_hessian(t, z)
    assert_close(gradient, factor * their_gradient, dtype)
    assert_close(hessian, factor * their_hessian, dtype)


@training
def test_constants_and_links(theirs, loss, kind):
    """`init_score` is `fit_intercept_only`, and `inverse_link` the inverse of their link but for ExponentialLoss.

    Its link is the half logit, so that its inverse is sigmoid(2 z): that is `predict_proba` here, too.
    """
    z, t = draw(kind, (N,), np.float64)
    w = draw_weight(N)
    assert loss.init_score(t) == pytest.approx(float(theirs.fit_intercept_only(t)), rel=1e-8)
    assert loss.init_score(t, sample_weight=w) == pytest.approx(float(theirs.fit_intercept_only(t, w)), rel=1e-8)
    if hasattr(theirs, "predict_proba"):
        assert_close(loss.predict_proba(z), theirs.predict_proba(z)[:, 1], np.float64)
    if not isinstance(loss, fl.Exponential):
        assert_close(loss.inverse_link(z), theirs.link.inverse(z), np.float64)


def test_multinomial(dtype):
    """`HalfMultinomialLoss` is cross-entropy (it is no half), for class indices stored as floats."""
    z, t = draw("index", (N, 5), dtype)
    theirs, target = losses.HalfMultinomialLoss(n_classes=5), t.astype(dtype)
    value, gradient, hessian = fl.CrossEntropy().value_gradient_and_hessian(z, t, reduction="none")
    assert_close(value, theirs.loss(target, z), dtype)
    their_gradient, their_hessian = theirs.gradient_hessian(target, z)
    assert_close(gradient, their_gradient, dtype)
    assert_close(hessian, their_hessian, dtype)


@pytest.mark.parametrize("q", [0.2, 0.5, 0.9])
def test_pinball(dtype, q):
    """`PinballLoss(quantile=q)` is Quantile(q), and 2 Quantile(0.5) the absolute error.

    Its Hessian, as that of `AbsoluteError`, is 1 where there is none: curvature="psd" here; "exact" is 0.
    """
    z, t = draw("real", (N,), dtype)
    for loss, theirs in (
        (fl.Quantile(q=q), losses.PinballLoss(quantile=q)),
        (fl.AbsoluteError(), losses.AbsoluteError()),
    ):
        value, gradient = loss.value_and_gradient(z, t, reduction="none")
        assert_close(value, theirs.loss(t, z), dtype)
        assert_close(gradient, theirs.gradient(t, z), dtype)
        for curvature, hessian in (("psd", 1.0), ("exact", 0.0)):
            found = loss.gradient_and_hessian(z, t, reduction="none", curvature=curvature)[1]
            assert np.all(found == hessian)
        assert np.all(theirs.gradient_hessian(t, z)[1] == 1)


def test_huber(dtype):
    """`HuberLoss` has the same value and gradient, and 1 for a Hessian everywhere.

    `GradientBoostingRegressor(loss="huber", alpha=0.9)` sets delta to a quantile of the residuals in each iteration;
    here delta is what it is.
    """
    z, t = draw("real", (N,), dtype)
    value, gradient = fl.Huber(delta=0.7).value_and_gradient(z, t, reduction="none")
    theirs = losses.HuberLoss(delta=0.7)
    assert_close(value, theirs.loss(t, z), dtype)
    assert_close(gradient, theirs.gradient(t, z), dtype)


# --------------------------------------------------------------------------------- SGD


SGD_LOSSES = {
    "hinge": (lambda: sgd.Hinge(1.0), fl.Hinge(), "hard"),
    "squared_hinge": (lambda: sgd.SquaredHinge(1.0), fl.SquaredHinge(), "hard"),
    "modified_huber": (lambda: sgd.ModifiedHuber(), fl.ModifiedHuber(), "hard"),
    "epsilon_insensitive": (lambda: sgd.EpsilonInsensitive(0.3), fl.EpsilonInsensitive(epsilon=0.3), "real"),
    "squared_epsilon_insensitive": (
        lambda: sgd.SquaredEpsilonInsensitive(0.3),
        fl.SquaredEpsilonInsensitive(epsilon=0.3),
        "real",
    ),
}


@pytest.mark.parametrize(("make", "loss", "kind"), SGD_LOSSES.values(), ids=list(SGD_LOSSES))
def test_sgd(dtype, make, loss, kind):
    """The losses of `SGDClassifier` and `SGDRegressor` have our names; `epsilon` is 0.1 in both by default.

    Their targets are -1 and 1, ours 0 and 1. Neither square has a half. SGD's own squared error is half the square, as
    is its Huber with `epsilon` for delta.
    """
    z, t = draw(kind, (N,), dtype)
    y = signs(t) if kind == "hard" else t
    theirs = make()
    value, gradient = loss.value_and_gradient(z, t, reduction="none")
    pairs = [(float(prediction), float(target)) for prediction, target in zip(z, y, strict=True)]
    assert_close(value, [theirs.py_loss(*pair) for pair in pairs], dtype)
    assert_close(gradient, [theirs.py_dloss(*pair) for pair in pairs], dtype)


def test_sgd_probabilities():
    """`predict_proba` of SGDClassifier(loss="modified_huber") is (clip(z, -1, 1) + 1) / 2, as ours is."""
    X, y = draw("hard", (N, 3), np.float64)
    model = linear_model.SGDClassifier(loss="modified_huber", random_state=0).fit(X, y[:, 0])
    ours = fl.ModifiedHuber().predict_proba(model.decision_function(X))
    assert_close(ours, model.predict_proba(X)[:, 1], np.float64)


# ------------------------------------------------------------------------------- metrics


def test_log_loss():
    """`log_loss` takes probabilities, and clips them; ours takes logits. The weighted mean divides by the weights' sum.

    normalize=False is the sum.
    """
    z, t = draw("index", (N, 4), np.float64)
    w = draw_weight(N)
    for normalize, reduction in ((True, "mean"), (False, "sum")):
        theirs = metrics.log_loss(t, fl.softmax(z), sample_weight=w, normalize=normalize)
        assert_close(fl.cross_entropy(z, t, sample_weight=w, reduction=reduction), theirs, np.float64)
    z, t = draw("hard", (N,), np.float64)
    theirs = metrics.log_loss(t, fl.sigmoid(z), sample_weight=w)
    assert_close(fl.binary_cross_entropy(z, t, sample_weight=w), theirs, np.float64)


def test_regression_metrics():
    """`mean_squared_error` and `mean_absolute_error`: their weighted mean is ours, sum(w l) / sum(w)."""
    z, t = draw("real", (N,), np.float64)
    w = draw_weight(N)
    assert_close(fl.squared_error(z, t, sample_weight=w), metrics.mean_squared_error(t, z, sample_weight=w), np.float64)
    assert_close(fl.mse(z, t, sample_weight=w), metrics.mean_squared_error(t, z, sample_weight=w), np.float64)
    theirs = metrics.mean_absolute_error(t, z, sample_weight=w)
    assert_close(fl.absolute_error(z, t, sample_weight=w), theirs, np.float64)


@pytest.mark.parametrize("q", [0.2, 0.5, 0.9])
def test_mean_pinball_loss(q):
    """`mean_pinball_loss(y_true, y_pred, alpha=q)`: alpha weighs targets above the prediction, as q does here."""
    z, t = draw("real", (N,), np.float64)
    w = draw_weight(N)
    theirs = metrics.mean_pinball_loss(t, z, alpha=q, sample_weight=w)
    assert_close(fl.quantile(z, t, q=q, sample_weight=w), theirs, np.float64)


def test_hinge_loss():
    """`hinge_loss` takes the two labels as they are, and for more classes it is Crammer and Singer's with margin 1."""
    w = draw_weight(N)
    z, t = draw("hard", (N,), np.float64)
    for labels in (t, signs(t)):
        assert_close(fl.hinge(z, t, sample_weight=w), metrics.hinge_loss(labels, z, sample_weight=w), np.float64)
    z, t = draw("index", (N, 4), np.float64)
    assert_close(fl.multiclass_hinge(z, t, sample_weight=w), metrics.hinge_loss(t, z, sample_weight=w), np.float64)


def test_brier_score_loss():
    """`brier_score_loss` of two classes is (p - t)^2, as ours, but with scale_by_half=False it is twice that.

    The unhalved score sums over both classes. For more than two its default is the sum over all classes, in [0, 2].
    """
    z, t = draw("hard", (N,), np.float64)
    w = draw_weight(N)
    p = fl.sigmoid(z)
    ours = fl.brier(z, t, sample_weight=w)
    assert_close(ours, metrics.brier_score_loss(t, p, sample_weight=w), np.float64)
    try:
        unhalved = metrics.brier_score_loss(t, p, sample_weight=w, scale_by_half=False)
    except TypeError:
        return  # before 1.7 there was no such option
    assert_close(2 * ours, unhalved, np.float64)


def test_zero_one_loss():
    """`zero_one_loss` takes predicted labels, ours logits: the class of the largest, or positive above 0.

    normalize=False counts errors: the sum.
    """
    w = draw_weight(N)
    z, t = draw("index", (N, 4), np.float64)
    for normalize, reduction in ((True, "mean"), (False, "sum")):
        theirs = metrics.zero_one_loss(t, z.argmax(axis=1), sample_weight=w, normalize=normalize)
        assert_close(fl.zero_one(z, t, sample_weight=w, reduction=reduction), theirs, np.float64)
    z, t = draw("hard", (N,), np.float64)
    assert_close(fl.zero_one(z, t, sample_weight=w), metrics.zero_one_loss(t, z > 0, sample_weight=w), np.float64)


@pytest.mark.parametrize("power", [1, 1.2, 1.5, 1.9, 2])
def test_deviances(power):
    """A deviance is twice our loss, less what it is at a prediction that equals the target.

    `mean_poisson_deviance` and `mean_gamma_deviance` are those of Tweedie powers 1 and 2; all take means, not their
    logarithms. Tweedie(power) here is for powers between; its limits are Poisson and Gamma.
    """
    z, y = draw("positive" if power == 2 else "count", (N,), np.float64)
    w = draw_weight(N)
    theirs = metrics.mean_tweedie_deviance(y, np.exp(z), power=power, sample_weight=w)
    loss = {1: fl.Poisson, 2: fl.Gamma}.get(power, lambda: fl.Tweedie(power=power))()
    constant = {
        1: losses.HalfPoissonLoss,
        2: losses.HalfGammaLoss,
    }.get(power, lambda: losses.HalfTweedieLoss(power=power))().constant_to_optimal_zero(y)
    assert_close(2 * (loss(z, y, sample_weight=w) + np.average(constant, weights=w)), theirs, np.float64)


@pytest.mark.parametrize("axis", [None, 0])
def test_hard_scores(axis):
    """With certain predictions and smooth=0 the set losses are 1 - f1_score, 1 - jaccard_score and 1 - fbeta_score.

    `axis=0` and "mean" is average="macro"; None, one set of everything, is "micro". beta > 1 favours recall in both.
    """
    z, t = draw("hard", (N, 3), np.float64)
    z *= 1e6
    labels, predicted = t.astype(int), (z > 0).astype(int)
    average = "micro" if axis is None else "macro"
    w = draw_weight(N)
    for loss, theirs in (
        (fl.SoftF1(smooth=0.0), metrics.f1_score(labels, predicted, average=average, sample_weight=w)),
        (fl.Dice(smooth=0.0), metrics.f1_score(labels, predicted, average=average, sample_weight=w)),
        (fl.Jaccard(smooth=0.0), metrics.jaccard_score(labels, predicted, average=average, sample_weight=w)),
        (
            fl.SoftF1(beta=2.0, smooth=0.0),
            metrics.fbeta_score(labels, predicted, beta=2.0, average=average, sample_weight=w),
        ),
    ):
        assert_close(loss(z, t, sample_weight=w[:, np.newaxis], axis=axis), 1 - theirs, np.float64)


def test_mean_absolute_percentage_error(dtype):
    """`mean_absolute_percentage_error` takes the target first, and a target of 0 as its dtype's 2^-52 in float64."""
    z, t = draw("real", (40,), dtype)
    t[:3] = 0
    theirs = metrics.mean_absolute_percentage_error(t.astype(float), z.astype(float))
    assert_close(fl.absolute_percentage_error(z, t), theirs, dtype)


def test_tukey(dtype):
    """statsmodels' `robust.norms.TukeyBiweight` takes the residual: `rho` is the value, `psi` the gradient."""
    norms = pytest.importorskip("statsmodels.robust.norms")
    z, t = draw("real", (200,), dtype)
    theirs = norms.TukeyBiweight(c=2.5)
    r = z.astype(float) - t
    assert_same(fl.Tukey(c=2.5), z, t, (theirs.rho(r), theirs.psi(r)), reduction="none")


def test_quantiles(dtype):
    """`mean_pinball_loss` takes the target first, and one level: `quantiles` adds several up."""
    levels = (0.1, 0.5, 0.8)
    z, t = draw("real", (60, 3), dtype)
    theirs = sum(metrics.mean_pinball_loss(t[:, 0].astype(float), z[:, k], alpha=q) for k, q in enumerate(levels))
    assert_close(fl.quantiles(z, t[:, 0], q=levels), theirs, dtype)


def test_squared_log_error_and_all_threshold(dtype):
    """`mean_squared_log_error` takes the target first. `log_loss` has one threshold, and probabilities.

    `all_threshold` adds up those of all thresholds between ordered classes.
    """
    rng = np.random.default_rng(4)
    z, t = (x.astype(dtype) for x in rng.exponential(size=(2, 300)))
    assert_close(fl.squared_log_error(z, t), metrics.mean_squared_log_error(t, z), dtype)
    z, t = rng.normal(size=(300, 3)).astype(dtype), rng.integers(0, 4, 300)
    theirs = sum(metrics.log_loss(t > k, fl.sigmoid(z[:, k].astype(float))) for k in range(3))
    assert_close(fl.all_threshold(z, t, n_classes=4), theirs, dtype)
