"""`objective` and `metric` with the boosters' estimators for Dask: the same model as on one machine."""

import numpy as np
import pytest

import fastloss as fl

da = pytest.importorskip("dask.array")
pytest.importorskip("dask.dataframe")  # XGBoost's module wants it
distributed = pytest.importorskip("distributed")
lightgbm = pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")
pytest.importorskip("sklearn")

import xgboost.dask  # noqa: E402

import fastloss.lightgbm  # noqa: E402
import fastloss.xgboost  # noqa: E402

# LightGBM says so about a parameter that its own estimator sets.
pytestmark = pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored:UserWarning")

ROWS, TREES = 1200, 10
LOSSES = [fl.BinaryFocal(), fl.Focal(), fl.Huber(), fl.Poisson()]
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)


@pytest.fixture
def client():
    """Two workers, one thread each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs="error"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def problem(loss):
    """Features of few different values, for which the workers agree on the bins; targets, weights and start value."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 4)).round().clip(-2, 2)
    score = X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.5 * rng.normal(size=ROWS)
    targets = {
        "binary_focal": (score > 1).astype(int),
        "focal": np.digitize(score, [-1, 1]),
        "huber": score,
        "poisson": rng.poisson(np.exp(score / 2)),
    }
    y, w = targets[loss.name], rng.uniform(0.5, 2, ROWS)
    return X, y, w, loss.init_score(y, w)


def lazy(*arrays):
    """In four pieces, two for each worker."""
    return [da.from_array(array, chunks=(ROWS // 4, *array.shape[1:])) for array in arrays]


@each_loss
def test_lightgbm(client, loss):
    X, y, w, start = problem(loss)
    # LightGBM counts the rows of leaves by their Hessians, on each worker anew: leaves are to be bounded otherwise.
    options = {"n_estimators": TREES, "num_leaves": 7, "min_child_samples": 1, "min_child_weight": 1.0, "verbose": -1}
    kind = "Classifier" if loss.name == "focal" else "Regressor"
    alone = getattr(fl.lightgbm, f"LGBM{kind}")(loss, n_jobs=1, **options).fit(X, y, sample_weight=w)
    together = getattr(lightgbm, f"DaskLGBM{kind}")(
        client=client, objective=fl.lightgbm.objective(loss), metric="None", **options
    )
    starts = np.broadcast_to(start, (ROWS, *np.shape(start))).copy()
    dX, dy, dw, dstart = lazy(X, y, w, starts)
    together.fit(dX, dy, sample_weight=dw, init_score=dstart)
    scores = together.to_local().predict(X, raw_score=True) + start
    np.testing.assert_allclose(scores, alone.predict(X, raw_score=True), rtol=1e-6, atol=1e-6)


@each_loss
def test_xgboost(client, loss):
    X, y, w, start = problem(loss)
    options = {"n_estimators": TREES, "max_depth": 3, "min_child_weight": 0}
    kind = "Classifier" if loss.name == "focal" else "Regressor"
    alone = getattr(fl.xgboost, f"XGB{kind}")(loss, n_jobs=1, **options).fit(X, y, sample_weight=w)
    together = getattr(xgboost.dask, f"DaskXGB{kind}")(
        objective=fl.xgboost.objective(loss), base_score=np.asarray(start).tolist(), **options
    )
    together.client = client
    dX, dy, dw = lazy(X, y, w)
    together.fit(dX, dy, sample_weight=dw)
    scores = xgboost.dask.predict(client, together.get_booster(), dX, output_margin=True).compute()
    np.testing.assert_allclose(scores, alone.predict(X, output_margin=True), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_metric(client, library):
    """Each worker measures its own rows; here all have the same."""
    loss = fl.BinaryFocal()
    X, y, w = (np.tile(each[: ROWS // 4], (4,) + (1,) * (each.ndim - 1)) for each in problem(loss)[:3])
    dX, dy, dw = lazy(X, y, w)
    if library == "lightgbm":
        function, metric = fl.lightgbm.objective(loss), fl.lightgbm.metric(loss)
        model = lightgbm.DaskLGBMRegressor(client=client, objective=function, n_estimators=TREES, verbose=-1)
        model.fit(dX, dy, sample_weight=dw, eval_X=(dX,), eval_y=(dy,), eval_sample_weight=[dw], eval_metric=metric)
        measured, scores = model.evals_result_["valid_0"], model.to_local().predict(X)
    else:
        function, metric = fl.xgboost.objective(loss), fl.xgboost.metric(loss)
        model = xgboost.dask.DaskXGBRegressor(objective=function, n_estimators=TREES, eval_metric=metric)
        model.client = client
        model.fit(dX, dy, sample_weight=dw, eval_set=[(dX, dy)], sample_weight_eval_set=[dw], verbose=False)
        measured, scores = model.evals_result()["validation_0"], model.predict(dX).compute()
    assert measured["binary_focal"][-1] == pytest.approx(loss(scores, y, sample_weight=w), rel=1e-5)
