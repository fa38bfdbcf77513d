"""Standard errors of hazards, times and choices: against statsmodels, lifelines and the text book."""

import warnings

import numpy as np
import pytest

import fastloss as fl

pytest.importorskip("sklearn")

from fastloss.sklearn import LossClassifier, LossRegressor

N = 300


def study(seed=0, ties=False):
    """Features of different units, a target, weights, strata, clusters."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3)) * [1, 100, 0.01] + [0, 1000, 0]
    z = (x - [0, 1000, 0]) / [1, 100, 0.01] @ [0.5, -0.4, 0.3]
    clusters = rng.integers(0, 40, N)
    times = rng.exponential(size=N) * np.exp(-z + 0.5 * rng.normal(size=40)[clusters]) + 1e-3
    end = rng.exponential(size=N) * 2 + 1e-3
    if ties:
        times, end = np.ceil(times * 4), np.ceil(end * 4)
    y = fl.survival_target(np.minimum(times, end), times <= end)
    return x, y, rng.integers(1, 3, N).astype(float), rng.integers(0, 3, N), clusters


def fitted(loss, x, y, weight=None, **belongs):
    return LossRegressor(loss, penalty=None, tol=1e-10).fit(x, y, weight, **belongs)


def correction(n_coefficients, n=N):
    return np.sqrt(n / (n - n_coefficients))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("stratified", [False, True])
def test_hazards_of_the_model_are_statsmodels(ties, stratified):
    duration = pytest.importorskip("statsmodels.duration.hazard_regression")
    x, y, _, strata, _ = study(ties=True)
    strata = strata if stratified else None
    theirs = duration.PHReg(np.abs(y), x, status=y > 0, ties=ties, strata=strata).fit(disp=0)
    found = fitted(fl.CoxPH(ties), x, y, strata=strata).inference(x, y, strata=strata)
    np.testing.assert_allclose(found.standard_errors, theirs.bse, rtol=1e-4)
    np.testing.assert_allclose(found.covariance, theirs.cov_params(), rtol=1e-3, atol=1e-9)
    assert found.names == ["x0", "x1", "x2"]
    assert found.n_rows == N


def test_clustered_hazards_are_statsmodels():
    duration = pytest.importorskip("statsmodels.duration.hazard_regression")
    x, y, _, strata, clusters = study()
    model = duration.PHReg(np.abs(y), x, status=y > 0, ties="breslow", strata=strata)
    theirs = model.fit(groups=clusters, disp=0)
    ours = fitted(fl.CoxPH(), x, y, strata=strata)
    found = ours.inference(x, y, strata=strata, covariance="cluster", clusters=clusters)
    small = np.sqrt(40 / 39 * (N - 1) / (N - 3))  # of which statsmodels has none
    np.testing.assert_allclose(found.standard_errors, theirs.bse * small, rtol=1e-4)


def test_robust_hazards_are_lifelines():
    lifelines = pytest.importorskip("lifelines")
    pandas = pytest.importorskip("pandas")
    x, y, _, _, clusters = study()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    frame = pandas.DataFrame(x, columns=list("abc")).assign(t=np.abs(y), e=y > 0, g=clusters)
    ours = fitted(fl.CoxPH(), x, y)
    for options, found, small in (
        ({"robust": True}, ours.inference(x, y, covariance="robust"), correction(3)),
        (
            {"cluster_col": "g"},
            ours.inference(x, y, covariance="cluster", clusters=clusters),
            np.sqrt(40 / 39 * (N - 1) / (N - 3)),
        ),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = frame if "cluster_col" in options else frame.drop(columns="g")
            theirs = lifelines.CoxPHFitter().fit(data, "t", "e", **options)
        assert ours.coef_ == pytest.approx(theirs.params_.to_numpy(), abs=1e-5)
        np.testing.assert_allclose(found.standard_errors, theirs.standard_errors_.to_numpy() * small, rtol=1e-4)


def score_residuals(x, y, z, weight, ties):
    """By the text book: x less its mean over those at risk, against the events expected of each row."""
    times, event = np.abs(y), y > 0
    found = np.zeros_like(x)
    for u in np.unique(times[event]):
        dead, at_risk = event & (times == u), times >= u
        d = dead.sum()
        for k in range(d if ties == "efron" else 1):
            share = np.where(dead, 1 - k / d, 1.0) if ties == "efron" else np.ones(N)
            e = weight * np.exp(z) * share * at_risk
            mean = e @ x / e.sum()
            amount = weight[dead].sum() / (d if ties == "efron" else 1)
            found -= (e / e.sum() * amount)[:, None] * (x - mean)
            found[dead] += weight[dead][:, None] * (x[dead] - mean) / (d if ties == "efron" else 1)
    return found


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_robust_hazards_with_ties_and_weights_are_the_text_books(ties):
    x, y, weight, _, clusters = study(ties=True)
    weight[::7] = 0
    model = fitted(fl.CoxPH(ties), x, y, weight)
    bread = model.inference(x, y, weight).covariance
    counted = weight > 0
    residuals = score_residuals(x, np.where(counted, y, -np.abs(y)), x @ model.coef_, weight, ties)
    n = weight.sum()
    by_row = residuals[counted] / np.sqrt(weight[counted])[:, None]
    expected = n / (n - 3) * bread @ by_row.T @ by_row @ bread
    found = model.inference(x, y, weight, covariance="robust")
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6, atol=1e-12)
    assert found.n_rows == n
    sums = np.zeros((40, 3))
    np.add.at(sums, clusters, residuals)
    expected = 40 / 39 * (n - 1) / (n - 3) * bread @ sums.T @ sums @ bread
    found = model.inference(x, y, weight, covariance="cluster", clusters=clusters)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("distribution", ["extreme", "logistic", "normal"])
def test_times_are_lifelines(distribution):
    lifelines = pytest.importorskip("lifelines")
    pandas = pytest.importorskip("pandas")
    x, y, _, _, _ = study()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    frame = pandas.DataFrame(x, columns=list("abc")).assign(t=np.abs(y), e=y > 0)
    kind = {"extreme": "WeibullAFTFitter", "logistic": "LogLogisticAFTFitter", "normal": "LogNormalAFTFitter"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(lifelines, kind[distribution])().fit(frame, "t", "e")
    model = fitted(fl.AFT(distribution, None), x, y)
    found = model.inference(x, y)
    assert found.names == ["x0", "x1", "x2", "intercept", "log(scale)"]
    errors = theirs.standard_errors_.to_numpy()
    assert model.coef_ == pytest.approx(theirs.params_.to_numpy()[:3], abs=1e-3)  # theirs stops earlier
    place = np.stack([x @ theirs.params_.to_numpy()[:3] + theirs.params_.iloc[3], np.zeros(N)], axis=1)
    place[:, 1] = theirs.params_.iloc[4] * (1 if distribution == "normal" else -1)
    ours = np.stack([x @ model.coef_ + model.intercept_, np.full(N, np.log(model.scale_))], axis=1)
    assert fl.aft(ours, y, distribution=distribution, scale=None) <= fl.aft(
        place, y, distribution=distribution, scale=None
    )
    assert found.coef[-1] == np.log(model.scale_)
    # Theirs is the logarithm of the scale or, of two, minus that.
    np.testing.assert_allclose(found.standard_errors, errors, rtol=2e-3)


def test_robust_times_are_those_of_rows():
    """With all events and normal times: least squares of the logarithm, whose robust errors are White's."""
    api = pytest.importorskip("statsmodels.api")
    x, y, _, _, clusters = study()
    y = np.abs(y)
    ols = api.OLS(np.log(y), api.add_constant((x - x.mean(axis=0)) / x.std(axis=0)))
    model = fitted(fl.AFT("normal", 2.0), x, y)
    scaled = fitted(fl.AFT("normal", 2.0), (x - x.mean(axis=0)) / x.std(axis=0), y)
    found = model.inference(x, y, covariance="robust")
    spread = x.std(axis=0)
    expected = ols.fit(cov_type="HC0").bse[1:] / spread * correction(4)
    np.testing.assert_allclose(found.standard_errors[:3], expected, rtol=1e-5)
    expected = ols.fit(cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}).bse[1:] / spread
    found = model.inference(x, y, covariance="cluster", clusters=clusters)
    np.testing.assert_allclose(found.standard_errors[:3], expected, rtol=1e-5)
    assert scaled.inference((x - x.mean(axis=0)) / spread, y).names[-1] == "intercept"  # a known scale has no error


def choices(seed=1, n=200):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * n, 3)) * [1, 10, 0.1]
    utility = (x / [1, 10, 0.1] @ [1.0, -0.5, 0.2] + rng.gumbel(size=3 * n)).reshape(n, 3)
    return x, (utility == utility.max(axis=1, keepdims=True)).ravel().astype(float), np.repeat(np.arange(n), 3)


def test_choices_are_statsmodels():
    discrete = pytest.importorskip("statsmodels.discrete.conditional_models")
    x, chosen, group = choices()
    theirs = discrete.ConditionalLogit(chosen, x / [1, 10, 0.1], groups=group).fit(disp=0, method="newton")
    model = fitted(fl.GroupSoftmax(), x, chosen, group=group)
    found = model.inference(x, chosen, group=group)
    np.testing.assert_allclose(found.standard_errors, theirs.bse / [1, 10, 0.1], rtol=1e-4)
    np.testing.assert_allclose(
        model.inference(x, chosen, group=np.full(200, 3)).covariance, found.covariance, rtol=1e-12
    )


def test_robust_choices_are_those_of_groups():
    x, chosen, group = choices()
    model = fitted(fl.GroupSoftmax(), x, chosen, group=group)
    bread = model.inference(x, chosen, group=group).covariance
    u = fl.GroupSoftmax().gradient(x @ model.coef_, chosen, group=group, reduction="sum")
    sums = np.add.reduceat(u[:, None] * x, np.arange(0, len(x), 3))
    found = model.inference(x, chosen, group=group, covariance="robust")
    np.testing.assert_allclose(found.covariance, 200 / 197 * bread @ sums.T @ sums @ bread, rtol=1e-6)
    person = np.repeat(np.arange(50), 12)
    found = model.inference(x, chosen, group=group, covariance="cluster", clusters=person)
    of_person = np.add.reduceat(sums, np.arange(0, 200, 4))
    expected = 50 / 49 * 199 / 197 * bread @ of_person.T @ of_person @ bread
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6)
    # A weight is a number of groups.
    weight = np.repeat([1.0, 2.0], 300)
    twice = np.append(np.arange(600), np.arange(300, 600))
    for covariance in ("model", "robust"):
        weighted = fitted(fl.GroupSoftmax(), x, chosen, weight, group=np.full(200, 3))
        weighted = weighted.inference(x, chosen, weight, group=np.full(200, 3), covariance=covariance)
        repeated = fitted(fl.GroupSoftmax(), x[twice], chosen[twice], group=np.full(300, 3))
        repeated = repeated.inference(x[twice], chosen[twice], group=np.full(300, 3), covariance=covariance)
        np.testing.assert_allclose(weighted.standard_errors, repeated.standard_errors, rtol=1e-6)


def test_a_penalty_shrinks_errors_and_a_constant_column_has_none():
    x, y, _, _, _ = study()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    errors = [
        LossRegressor(fl.CoxPH(), alpha=alpha).fit(x, y).inference(x, y).standard_errors for alpha in (1e-6, 0.1, 10.0)
    ]
    assert (np.diff(errors, axis=0) < 0).all()
    wider = np.column_stack([x, np.ones(N)])
    found = fitted(fl.CoxPH(), wider, y).inference(wider, y)
    assert found.standard_errors[-1] == 0
    np.testing.assert_allclose(found.standard_errors[:3], fitted(fl.CoxPH(), x, y).inference(x, y).standard_errors)


def test_sparse_and_float32():
    sparse = pytest.importorskip("scipy.sparse")
    x, y, _, _, _ = study()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = fitted(fl.CoxPH(), x, y).inference(x, y, covariance="robust").standard_errors
    for each, tolerance in ((sparse.csr_matrix(x), 1e-6), (x.astype(np.float32), 1e-3)):
        found = LossRegressor(fl.CoxPH(), penalty=None).fit(each, y).inference(each, y, covariance="robust")
        np.testing.assert_allclose(found.standard_errors, expected, rtol=tolerance)


def test_where_there_are_none():
    x, y, _, strata, _ = study()
    chosen, group = (y > 0).astype(float), np.full(N // 3, 3)
    model = LossRegressor(fl.PairwiseLogistic(), penalty=None).fit(x, chosen, group=group)
    with pytest.raises(ValueError, match="pairs of a group are not independent"):
        model.inference(x, chosen, group=group, covariance="robust")
    model = LossRegressor(fl.GroupSoftmax(), penalty=None).fit(x, chosen, group=group)
    with pytest.raises(ValueError, match=r"clusters\[1\] differs from that of other rows of its group"):
        model.inference(x, chosen, group=group, covariance="cluster", clusters=np.where(np.arange(N) == 1, 1, 0))
    model = LossRegressor(fl.CoxPH(), penalty="l1", alpha=1e-3).fit(x, y)
    with pytest.raises(ValueError, match="an L1 norm chooses"):
        model.inference(x, y)
    model = fitted(fl.CoxPH(), x, y)
    with pytest.raises(ValueError, match="X has 300 rows, and y 200"):
        model.inference(x, y[:200])
    with pytest.raises(ValueError, match="offset is not for"):
        model.inference(x, y, offset=y)
    for other in (LossRegressor("huber").fit(x, y), LossClassifier().fit(x, y > 0)):
        with pytest.raises(TypeError, match="has no strata and no groups"):
            other.inference(x, y > 0, covariance="robust", strata=strata)
