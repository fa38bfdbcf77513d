"""SciPy: the special functions, the robust losses of `least_squares`, distributions and constants that minimise."""

import numpy as np
import pytest
from peers import assert_close, draw, draw_weight, one_hot

import fastloss as fl

special = pytest.importorskip("scipy.special")
optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")


def test_row_functions(dtype):
    """`log_softmax`, `softmax` and `logsumexp`: all axes by default in SciPy, the last one here.

    A row that is -inf throughout is nan in SciPy's softmax and in ours. `expit` and `log_expit` are `sigmoid` and
    `log_sigmoid`.
    """
    x, _ = draw("real", (30, 7), dtype)
    for axis in (0, 1):
        assert_close(fl.log_softmax(x, axis=axis), special.log_softmax(x, axis=axis), dtype)
        assert_close(fl.softmax(x, axis=axis), special.softmax(x, axis=axis), dtype)
        assert_close(fl.logsumexp(x, axis=axis), special.logsumexp(x, axis=axis), dtype)
    assert_close(fl.sigmoid(x), special.expit(x), dtype)
    assert_close(fl.log_sigmoid(x), special.log_expit(x), dtype)


@pytest.mark.parametrize("delta", [0.5, 1.5])
def test_huber_and_pseudo_huber(dtype, delta):
    """`special.huber(delta, r)` and `special.pseudo_huber(delta, r)`: delta comes first, then the residual.

    The same functions; ours take prediction and target, and delta by name.
    """
    z, t = draw("real", (200,), dtype)
    r = z.astype(float) - t.astype(float)
    assert_close(fl.huber(z, t, delta=delta, reduction="none"), special.huber(delta, r), dtype)
    assert_close(fl.pseudo_huber(z, t, delta=delta, reduction="none"), special.pseudo_huber(delta, r), dtype)


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_robust_least_squares(dtype, scale):
    """The `loss` of `least_squares` is half of our scale: its cost is 1/2 sum f_scale^2 rho((r / f_scale)^2).

    With that half, "linear" is half our SquaredError, "soft_l1" PseudoHuber, "huber" Huber and "cauchy" Cauchy, with
    `f_scale` for delta and c. ("arctan" is nothing of ours.)
    """
    z, t = draw("real", (30,), dtype)
    x, y = z.astype(float), t.astype(float)
    for name, loss, factor in (
        ("linear", fl.SquaredError(), 0.5),
        ("soft_l1", fl.PseudoHuber(delta=scale), 1),
        ("huber", fl.Huber(delta=scale), 1),
        ("cauchy", fl.Cauchy(c=scale), 1),
    ):
        # One evaluation: the cost and its gradient where it starts.
        theirs = optimize.least_squares(
            lambda x: x - y, x, jac=lambda x: np.eye(len(x)), loss=name, f_scale=scale, max_nfev=1
        )
        value, gradient = loss.value_and_gradient(z, t, reduction="sum")
        assert_close(factor * value, theirs.cost, dtype)
        assert_close(factor * gradient, theirs.grad, dtype)


@pytest.mark.parametrize("kind", ["index", "probability"])
def test_kl_divergence(dtype, kind):
    """`rel_entr` is t log(t / p), whose sum over classes is the divergence; `kl_div` adds p - t to each element.

    That is 0 in sum where targets sum to 1, but not for each class. `stats.entropy(t, p)` normalises both first.
    """
    z, t = draw(kind, (40, 5), dtype)
    if kind == "probability":
        t[::2, 0] = 0
        t /= t.sum(axis=1, keepdims=True)
    target = (t if kind == "probability" else one_hot(t, 5, dtype)).astype(float)
    p = special.softmax(z.astype(float), axis=1)
    ours = fl.kl_divergence(z, t, reduction="none")
    assert_close(ours, special.rel_entr(target, p).sum(axis=1), dtype)
    assert_close(ours, special.kl_div(target, p).sum(axis=1), dtype)
    assert_close(ours, stats.entropy(target, p, axis=1), dtype)
    assert not np.allclose(special.kl_div(target, p), special.rel_entr(target, p))


def test_kl_divergence_of_amounts(dtype):
    """Targets that do not sum to 1 are taken as they are, as in `rel_entr`; `stats.entropy` normalises them."""
    z, t = draw("probability", (40, 5), dtype)
    t *= dtype(0.5)
    p = special.softmax(z.astype(float), axis=1)
    assert_close(fl.kl_divergence(z, t, reduction="none"), special.rel_entr(t.astype(float), p).sum(axis=1), dtype)


def test_cross_entropy_is_entropy_and_divergence(dtype):
    """Cross-entropy is KL divergence plus the entropy of the target, `special.entr`: the gradients are the same."""
    z, t = draw("probability", (40, 5), dtype)
    entropy = special.entr(t.astype(float)).sum(axis=1)
    assert_close(fl.cross_entropy(z, t, reduction="none") - entropy, fl.kl_divergence(z, t, reduction="none"), dtype)


def test_likelihoods(dtype):
    """Poisson and Gamma are negative log-likelihoods without what depends on the target alone.

    Poisson leaves out log y!, Gamma is the exponential distribution with mean e^z (a shape k multiplies it by k).
    """
    z, y = draw("count", (200,), dtype)
    mean = np.exp(z.astype(float))
    ours = fl.poisson(z, y, reduction="none") + special.gammaln(y.astype(float) + 1)
    assert_close(ours, -stats.poisson.logpmf(y, mean), dtype)
    z, y = draw("positive", (200,), dtype)
    mean = np.exp(z.astype(float))
    assert_close(fl.gamma(z, y, reduction="none"), -stats.expon.logpdf(y.astype(float), scale=mean), dtype)
    k = 2.5
    shaped = k * fl.gamma(z, y, reduction="none") + special.gammaln(k) - k * np.log(k) - (k - 1) * np.log(y)
    np.testing.assert_allclose(shaped, -stats.gamma.logpdf(y.astype(float), k, scale=mean / k), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_expectile(q):
    """`stats.expectile(y, alpha=q)` is the constant that minimises Expectile(q): alpha weighs targets above it.

    That is Newey and Powell's |q - [y < z]| r^2, at q = 1/2 half the squared error. CatBoost's "Expectile:alpha" is the
    same, as its "Quantile:alpha" is our Quantile.
    """
    y = draw("real", (201,), np.float64)[1]
    w = draw_weight(201)
    assert fl.Expectile(q=q).init_score(y) == pytest.approx(stats.expectile(y, alpha=q), rel=1e-7)
    weighted = stats.expectile(y, alpha=q, weights=w)
    assert fl.Expectile(q=q).init_score(y, sample_weight=w) == pytest.approx(weighted, rel=1e-7)
    z = np.full_like(y, weighted)
    assert fl.Expectile(q=q).gradient(z, y, sample_weight=w).sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_quantile(q):
    """A quantile minimises Quantile(q): q weighs targets above the prediction, as `alpha` does in scikit-learn."""
    y = draw("real", (201,), np.float64)[1]
    constant = stats.mstats.mquantiles(y, [q], alphap=0, betap=0)[0]
    at = [fl.quantile(np.full_like(y, z), y, q=q) for z in (fl.Quantile(q=q).init_score(y), constant)]
    assert at[0] <= at[1] * (1 + 1e-12)
    assert at[0] == pytest.approx(at[1], rel=1e-2)


def test_likelihoods_of_overdispersed_counts_and_heavy_tails(dtype):
    """`stats.nbinom` takes n = 1 / a and p = 1 / (1 + a m), `stats.invgauss` the mean.

    Both losses leave out what depends on the target alone.
    """
    a = 0.7
    z, y = draw("count", (200,), dtype)
    t = y.astype(float)
    ours = fl.negative_binomial(z, y, dispersion=a, reduction="none")
    ours = ours + special.gammaln(1 / a) + special.gammaln(t + 1) - special.gammaln(t + 1 / a)
    assert_close(ours, -stats.nbinom.logpmf(t, 1 / a, 1 / (1 + a * np.exp(z.astype(float)))), dtype)
    z, y = draw("positive", (200,), dtype)
    z, t = np.abs(z), y.astype(float)
    ours = fl.inverse_gaussian(z, y, reduction="none") + 1 / (2 * t) + np.log(2 * np.pi * t**3) / 2
    assert_close(ours, -stats.invgauss.logpdf(t, np.exp(z.astype(float))), dtype)


def test_densities(dtype):
    """`stats` has the same distributions, of parameters that are no logarithms: a shape, a location and a scale.

    `stats.gamma` takes the scale, not the mean, which is the shape times as much; `stats.lognorm` the scale of log t as
    its shape, and the exponential of the mean of log t as its scale.
    """
    rng = np.random.default_rng(5)
    z, t = (x.astype(dtype) for x in (rng.normal(size=(300, 2)), rng.normal(size=300)))
    m, s = z.astype(float).T
    pairs = (
        (fl.gaussian_nll, stats.norm(m, np.exp(s))),
        (fl.laplace_nll, stats.laplace(m, np.exp(s))),
        (fl.logistic_nll, stats.logistic(m, np.exp(s))),
        (fl.student_t_nll, stats.t(5.0, m, np.exp(s))),
    )
    for ours, theirs in pairs:
        assert_close(ours(z, t, reduction="none"), -theirs.logpdf(t.astype(float)), dtype)
    t = np.exp(t)
    pairs = (
        (fl.log_normal_nll, stats.lognorm(np.exp(s), scale=np.exp(m))),
        (fl.gamma_nll, stats.gamma(np.exp(s), scale=np.exp(m - s))),
        (fl.weibull_nll, stats.weibull_min(np.exp(s), scale=np.exp(m))),
    )
    for ours, theirs in pairs:
        assert_close(ours(z, t, reduction="none"), -theirs.logpdf(t.astype(float)), dtype)


def test_counts_shares_and_ordered_classes(dtype):
    """`stats.nbinom` takes 1 / a and 1 / (1 + a m), `stats.beta` the shapes m p and (1 - m) p.

    Of ordered classes it has the distribution function alone: `stats.logistic.cdf` of thresholds.
    """
    rng = np.random.default_rng(6)
    z, counts, shares = rng.normal(size=(300, 2)), rng.poisson(3, 300), rng.beta(2, 3, 300)
    z, counts, shares = (x.astype(dtype) for x in (z, counts, shares))
    first, second = z.astype(float).T
    m, a = np.exp(first), np.exp(second)
    theirs = -stats.nbinom.logpmf(counts.astype(float), 1 / a, 1 / (1 + a * m))
    assert_close(fl.negative_binomial_nll(z, counts, reduction="none"), theirs, dtype)
    m, p = special.expit(first), np.exp(second)
    theirs = -stats.beta.logpdf(shares.astype(float), m * p, (1 - m) * p)
    assert_close(fl.beta_nll(z, shares, reduction="none"), theirs, dtype)
    classes, edges = rng.integers(0, 3, 300), np.array([-np.inf, -0.5, 1.0, np.inf])
    below = stats.logistic.cdf(edges - first[:, np.newaxis])
    theirs = -np.log(np.diff(below, axis=1)[np.arange(300), classes])
    assert_close(fl.cumulative_logit(z[:, 0], classes, thresholds=(-0.5, 1.0), reduction="none"), theirs, dtype)


def test_zero_inflated_poisson(dtype):
    """statsmodels' `zipoisson` takes the mean and the share of extra zeros themselves."""
    zipoisson = pytest.importorskip("statsmodels.distributions").zipoisson
    z, y = draw("count", (200, 2), dtype)
    z, y = z / 2, y[:, 0]
    theirs = zipoisson.logpmf(y, np.exp(z[:, 0].astype(float)), special.expit(z[:, 1].astype(float)))
    assert_close(fl.zero_inflated_poisson_nll(z, y, reduction="none"), -theirs, dtype)
