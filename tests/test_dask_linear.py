"""`fastloss.dask.LossClassifier` and `LossRegressor`: the models of `fastloss.sklearn`, from chunks."""

import numpy as np
import pytest

import fastloss as fl

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
pytest.importorskip("sklearn")
pytest.importorskip("threadpoolctl")

import fastloss.dask as chunked  # noqa: E402
import fastloss.sklearn as in_memory  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1500, 5)) * [1, 5, 0.1, 1, 1] + [0, 3, 0, 0, 0]
Y = X @ RNG.normal(size=5) + RNG.standard_t(3, size=1500)
COUNTS = RNG.poisson(np.exp(X[:, 0])).astype(float)
LABELS = np.array(["a", "b", "c"])[(X @ RNG.normal(size=(5, 3)) + 3 * RNG.normal(size=(1500, 3))).argmax(axis=1)]
WEIGHT = RNG.exponential(size=1500) * (RNG.random(1500) < 0.8)


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


def split(array, rows=400):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize(("loss", "y"), [("huber", Y), ("log_cosh", Y), ("poisson", COUNTS), (fl.Tweedie(1.3), COUNTS)])
def test_regressor(loss, y, penalty):
    options = {"penalty": penalty, "alpha": 1e-2, "tol": 1e-8}
    there = in_memory.LossRegressor(loss, **options).fit(X, y, WEIGHT)
    here = chunked.LossRegressor(loss, **options).fit(split(X), split(y), split(WEIGHT))
    np.testing.assert_allclose(here.coef_, there.coef_, atol=1e-7)
    assert here.intercept_ == pytest.approx(there.intercept_, abs=1e-7)
    np.testing.assert_allclose(here.predict(split(X)).compute(), there.predict(X), rtol=1e-6)
    np.testing.assert_allclose(here.predict(X), there.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "y"), [(fl.GaussianNLL(), Y), (fl.GammaNLL(), COUNTS + 0.5), (fl.Quantiles((0.2, 0.7)), Y)]
)
def test_several_numbers_a_row(loss, y):
    options = {"alpha": 1e-3, "tol": 1e-4 if loss.name == "quantiles" else 1e-8}
    there = in_memory.LossRegressor(loss, **options).fit(X, y, WEIGHT)
    here = chunked.LossRegressor(loss, **options).fit(split(X), split(y), split(WEIGHT))
    z = here.decision_function(split(X))
    assert z.shape == (1500, 2)
    np.testing.assert_allclose(z.compute(), there.decision_function(X), atol=0.02 if loss.name == "quantiles" else 1e-6)
    np.testing.assert_array_equal(here.predict(split(X)).compute(), here.predict(X))
    if loss.name == "quantiles":
        return
    levels = here.predict_quantiles(split(X), [0.1, 0.5, 0.9])
    np.testing.assert_allclose(levels.compute(), there.predict_quantiles(X, [0.1, 0.5, 0.9]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(here.predict_distribution(X).mean(), here.predict(X), rtol=1e-6)
    with pytest.raises(TypeError, match="predict_distribution takes rows in memory"):
        here.predict_distribution(split(X))
    # At once, and not when the chunks are computed.
    with pytest.raises(ValueError, match=r"q\[1\] = 1.5 must lie in \(0, 1\)"):
        here.predict_quantiles(split(X), [0.5, 1.5])
    with pytest.raises(AttributeError, match="is not the loss of a distribution"):
        here.set_params(loss="huber").predict_quantiles(split(X), [0.5])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "binary_cross_entropy", "squared_hinge"])
def test_classifier(loss, n_classes):
    labels = LABELS if n_classes == 3 else np.where(LABELS == "c", "b", LABELS)
    options = {"alpha": 1e-2, "tol": 1e-8, "class_weight": "balanced"}
    there = in_memory.LossClassifier(loss, **options).fit(X, labels, WEIGHT)
    here = chunked.LossClassifier(loss, **options).fit(split(X), split(labels), split(WEIGHT))
    np.testing.assert_allclose(here.coef_, there.coef_, atol=1e-6)
    np.testing.assert_allclose(here.intercept_, there.intercept_, atol=1e-6)
    assert here.classes_.tolist() == there.classes_.tolist()
    assert (here.predict(split(X)).compute() == there.predict(X)).mean() > 0.999
    np.testing.assert_allclose(here.predict_proba(split(X)).compute(), there.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(here.decision_function(split(X)).compute(), there.decision_function(X), atol=1e-5)


def test_kinks_are_rounded():
    there = in_memory.LossRegressor("quantile", alpha=1e-2).fit(X, Y)
    here = chunked.LossRegressor("quantile", alpha=1e-2, tol=1e-4).fit(split(X), split(Y))
    np.testing.assert_allclose(here.coef_, there.coef_, atol=1e-2)
    with pytest.raises(ValueError, match="has kinks, and so has an L1 norm"):
        chunked.LossRegressor("quantile", penalty="l1").fit(split(X), split(Y))


def test_float32_chunks_in_columns_and_an_array_beside():
    wide = da.from_array(X.astype(np.float32), chunks=(700, 2))
    here = chunked.LossRegressor("huber", tol=1e-4).fit(wide, Y.astype(np.float32))
    assert here.coef_.dtype == np.float32
    there = in_memory.LossRegressor("huber", tol=1e-4).fit(X.astype(np.float32), Y)
    np.testing.assert_allclose(here.coef_, there.coef_, atol=1e-3)


def test_more_coefficients_than_newton_takes(monkeypatch):
    monkeypatch.setattr("fastloss._dask_linear.MOST_NEWTON", 1)
    here = chunked.LossRegressor("huber", alpha=0.1).fit(split(X), split(Y))
    there = in_memory.LossRegressor("huber", alpha=0.1).fit(X, Y)
    np.testing.assert_allclose(here.coef_, there.coef_, atol=1e-5)


def test_what_is_refused():
    fit = chunked.LossRegressor("huber").fit
    with pytest.raises(TypeError, match="X must be a Dask array or frame"):
        fit(X, Y)
    with pytest.raises(ValueError, match="y has 3 rows, and X has 1500"):
        fit(split(X), np.ones(3))
    masked = da.ma.masked_array(split(X), mask=split(X) > 9)
    with pytest.raises(TypeError, match=r"X: chunk \d is masked"):
        fit(masked, split(Y))
    bad = X.copy()
    bad[801, 2] = np.nan
    with pytest.raises(ValueError, match="X: row 1 of chunk 2 must be finite"):
        fit(split(bad), split(Y))
    with pytest.raises(ValueError, match=r"y: row 0 of chunk \d must be finite and > 0"):
        chunked.LossRegressor("gamma").fit(split(X), split(-np.abs(Y)))
    with pytest.raises(ValueError, match=r"sample_weight: row 0 of chunk \d must be finite and >= 0"):
        fit(split(X), split(Y), split(-np.ones(1500)))
    with pytest.raises(ValueError, match="is no sum over rows"):
        chunked.LossRegressor(fl.CoxPH()).fit(split(X), split(Y))
    with pytest.raises(ValueError, match="at least 2 classes"):
        chunked.LossClassifier().fit(split(X), split(np.ones(1500)))


def test_frames():
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    table = pd.DataFrame(X, columns=list("vwxyz")).assign(label=LABELS)
    frame = dd.from_pandas(table, npartitions=3)
    here = chunked.LossClassifier(tol=1e-8).fit(frame[list("vwxyz")], frame["label"])
    there = in_memory.LossClassifier(tol=1e-8).fit(table[list("vwxyz")], table["label"])
    np.testing.assert_allclose(here.coef_, there.coef_, atol=1e-6)
    assert here.feature_names_in_.tolist() == list("vwxyz")
    predicted = here.predict(frame[list("vwxyz")]).compute()
    assert (predicted == there.predict(table[list("vwxyz")])).mean() > 0.999
    with pytest.raises(ValueError, match="the columns of the fit"):
        here.predict(frame[list("zyxwv")])


def test_a_lost_worker():
    """One of two ends with the chunks that it holds: they are made again on the other."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        x, y = client.persist([split(X, 100), split(Y, 100)])
        distributed.wait([x, y])
        cluster.sync(cluster.workers[0].close)  # with the chunks that it holds
        dask.config.set(scheduler=None)
        here = chunked.LossRegressor("huber", tol=1e-8).fit(x, y)
    there = in_memory.LossRegressor("huber", tol=1e-8).fit(X, Y)
    np.testing.assert_allclose(here.coef_, there.coef_, atol=1e-7)


def test_penalty_weights_count_and_bounds_are_refused():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    y = x @ [2.0, -1.0, 0.0] + rng.normal(size=200)
    chunks = da.from_array(x, chunks=(70, 3))
    options = {"loss": "squared_error", "alpha": 0.3, "penalty_weight": [0.0, 5.0, 1.0], "tol": 1e-10}
    ours = chunked.LossRegressor(**options).fit(chunks, y)
    np.testing.assert_allclose(ours.coef_, in_memory.LossRegressor(**options).fit(x, y).coef_, rtol=1e-6)
    for option in ({"positive": True}, {"bounds": (0, 1)}):
        with pytest.raises(ValueError, match="is not for chunks"):
            chunked.LossRegressor("squared_error", **option).fit(chunks, y)
