"""Cross-validation along a path: where it starts, what it scores and chooses, and that scikit-learn's tools take it."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LassoCV
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastloss as fl
from fastloss.sklearn import LossClassifier, LossClassifierCV, LossRegressor, LossRegressorCV, loss_scorer
from fastloss.sklearn import _descent as descent
from fastloss.sklearn import _linear as linear
from fastloss.sklearn._objective import MeanLoss


def scaled(load):
    x, y = load(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="module")
def cancer():
    return scaled(load_breast_cancer)


@pytest.fixture(scope="module")
def wine():
    return scaled(load_wine)


@pytest.fixture(scope="module")
def diabetes():
    return scaled(load_diabetes)


def test_it_is_the_lasso_of_scikit_learn(diabetes):
    x, y = diabetes
    theirs = LassoCV(alphas=15, cv=5, tol=1e-9, max_iter=10_000).fit(x, y)
    ours = LossRegressorCV("squared_error", penalty="l1", alphas=15).fit(x, y)
    np.testing.assert_allclose(ours.alphas_, 2 * theirs.alphas_, rtol=1e-9)
    np.testing.assert_allclose(-ours.cv_scores_, theirs.mse_path_, rtol=1e-6)
    assert ours.alpha_ == pytest.approx(2 * theirs.alpha_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)


def test_scores_are_those_of_a_grid_search(cancer):
    x, y = cancer
    path = LossClassifierCV(penalty="elasticnet", alphas=[0.01, 0.1, 0.001], l1_ratio=[0.2, 0.8], cv=3).fit(x, y)
    assert path.alphas_.tolist() == [[0.1, 0.01, 0.001]] * 2
    search = GridSearchCV(
        LossClassifier(penalty="elasticnet"),
        {"l1_ratio": [0.2, 0.8], "alpha": [0.1, 0.01, 0.001]},
        scoring=loss_scorer("cross_entropy"),
        cv=3,
    ).fit(x, y)
    found = {
        (p["l1_ratio"], p["alpha"]): m
        for p, m in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True)
    }
    for i, ratio in enumerate([0.2, 0.8]):
        for j, alpha in enumerate([0.1, 0.01, 0.001]):
            assert path.cv_scores_[i, j].mean() == pytest.approx(found[ratio, alpha], rel=1e-4)
    assert {"alpha": path.alpha_, "l1_ratio": path.l1_ratio_} == search.best_params_
    again = LossClassifier(penalty="elasticnet", alpha=path.alpha_, l1_ratio=path.l1_ratio_).fit(x, y)
    np.testing.assert_array_equal(path.coef_, again.coef_)
    assert path.score(x, y) == again.score(x, y)


LOSSES = [
    fl.CrossEntropy(),
    fl.BinaryFocal(),
    fl.SquaredHinge(),
    fl.Hinge(),
    fl.MulticlassHinge(),
    fl.Huber(30.0),
    fl.Poisson(),
    fl.AbsoluteError(),
    fl.Quantile(0.8),
    fl.EpsilonInsensitive(20.0),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("case", ["plain", "weights", "options"])
def test_the_path_starts_where_all_coefficients_are_zero(loss, case, wine, diabetes):
    of_labels = loss.target_domain == "unit interval"
    x, y = wine if of_labels else diabetes
    rng = np.random.default_rng(0)
    weight, offset, options = None, None, {"penalty": "l1"}
    if case == "weights":
        weight = rng.integers(0, 3, len(y)).astype(float)
    if case == "options":
        options = {"penalty": "elasticnet", "l1_ratio": 0.4, "penalty_weight": rng.integers(0, 4, x.shape[1])}
        offset = rng.normal(size=(len(y), 3) if of_labels else len(y))
    one, path = (LossClassifier, LossClassifierCV) if of_labels else (LossRegressor, LossRegressorCV)
    alpha = path(loss, alphas=1, cv=2, **options).fit(x, y, weight, offset).alphas_[0]
    penalised = np.broadcast_to(options.get("penalty_weight", 1), x.shape[1]) > 0
    above = one(loss, alpha=1.001 * alpha, **options).fit(x, y, weight, offset)
    size = np.max(np.abs(one(loss, alpha=1e-3 * alpha, **options).fit(x, y, weight, offset).coef_))
    # Of kinks beside features that are not penalised no slope is known for sure.
    near = 1e-3 if loss.traits.has_kinks and case == "options" else 1e-4
    assert np.max(np.abs(above.coef_[..., penalised])) <= near * size
    if not loss.traits.has_kinks:
        below = one(loss, alpha=0.99 * alpha, **options).fit(x, y, weight, offset)
        assert np.any(below.coef_[..., penalised] != 0)


def test_positive_coefficients_start_at_their_own_alpha(diabetes):
    x, y = diabetes
    both = LossRegressorCV("squared_error", penalty="l1", alphas=2, cv=2).fit(-x, y)
    path = LossRegressorCV("squared_error", penalty="l1", alphas=2, cv=2, positive=True).fit(-x, y)
    assert path.alphas_[0] < both.alphas_[0]
    for share in (1.001, 0.99):
        model = LossRegressor("squared_error", penalty="l1", alpha=share * path.alphas_[0], positive=True).fit(-x, y)
        assert np.any(model.coef_ > 0) == (share < 1)
    assert np.all(path.coef_ >= 0)


def test_without_an_l1_norm_the_ends_of_the_path_are_nothing_and_no_penalty(diabetes):
    x, y = diabetes
    path = LossRegressorCV("squared_error", alphas=5).fit(x * [1e-3, *[1.0] * 8, 1e3], y)
    assert path.alphas_[0] / path.alphas_[-1] == pytest.approx(1e7)
    path = LossRegressorCV("squared_error").fit(x, y)
    assert path.alphas_.shape == (100,)
    scores = path.cv_scores_.mean(axis=1)
    assert 0 < np.argmax(scores) < 99
    free = LossRegressor("squared_error", penalty=None).fit(x, y)
    least = LossRegressor("squared_error", alpha=path.alphas_[-1]).fit(x, y)
    most = LossRegressor("squared_error", alpha=path.alphas_[0]).fit(x, y)
    np.testing.assert_allclose(least.coef_, free.coef_, rtol=2e-2)
    assert np.linalg.norm(most.coef_) < 0.1 * np.linalg.norm(free.coef_)


def test_one_standard_error(diabetes):
    x, y = diabetes
    best = LossRegressorCV("squared_error", penalty="l1", alphas=30).fit(x, y)
    simple = LossRegressorCV("squared_error", penalty="l1", alphas=30, one_standard_error=True).fit(x, y)
    mean = best.cv_scores_.mean(axis=1)
    error = best.cv_scores_[np.argmax(mean)].std(ddof=1) / np.sqrt(5)
    expected = best.alphas_[np.flatnonzero(mean >= mean.max() - error)[0]]
    assert simple.alpha_ == expected
    assert simple.alpha_ > best.alpha_
    assert np.count_nonzero(simple.coef_) <= np.count_nonzero(best.coef_)


def test_weights_count_as_rows_in_fits_and_scores(cancer):
    x, y = cancer[0][:150], cancer[1][:150]
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    folds = list(StratifiedKFold(3).split(x, y))
    position = np.cumsum(weight) - weight
    repeated = [
        tuple(np.concatenate([np.arange(position[i], position[i] + weight[i]) for i in part]) for part in fold)
        for fold in folds
    ]
    weighted = LossClassifierCV(penalty="l1", alphas=6, cv=folds).fit(x, y, weight)
    plain = LossClassifierCV(penalty="l1", alphas=6, cv=repeated).fit(x[rows], y[rows])
    np.testing.assert_allclose(weighted.alphas_, plain.alphas_, rtol=1e-9)
    np.testing.assert_allclose(weighted.cv_scores_, plain.cv_scores_, rtol=1e-4)
    by_accuracy = LossClassifierCV(penalty="l1", alphas=6, cv=folds, scoring="accuracy").fit(x, y, weight)
    same = LossClassifierCV(penalty="l1", alphas=6, cv=repeated, scoring="accuracy").fit(x[rows], y[rows])
    np.testing.assert_allclose(by_accuracy.cv_scores_, same.cv_scores_)


def test_any_scorer_knows_the_offset():
    rng = np.random.default_rng(0)
    x, offset = rng.normal(size=(200, 3)), rng.normal(size=200)
    y = rng.poisson(np.exp(x[:, 0] + offset)).astype(float)
    folds = list(KFold(2).split(x))
    path = LossRegressorCV("poisson", alphas=[0.1], cv=folds, scoring="neg_mean_poisson_deviance").fit(
        x, y, offset=offset
    )
    for k, (train, test) in enumerate(folds):
        model = LossRegressor("poisson", alpha=0.1).fit(x[train], y[train], offset=offset[train])
        mean = model.predict(x[test], offset[test])
        expected = -2 * np.mean(
            np.where(y[test] > 0, y[test] * np.log(np.maximum(y[test], 1) / mean), 0) - y[test] + mean
        )
        assert path.cv_scores_[0, k] == pytest.approx(expected, rel=1e-5)
    assert path.predict(x, offset).shape == (200,)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_a_fold_that_lacks_a_class(loss):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = np.array(["a"] * 25 + ["b"] * 25 + ["c"] * 10)
    x[:, 0] += y == "b"
    path = LossClassifierCV(loss, alphas=[1.0, 0.1], cv=KFold(6)).fit(x, y)
    assert np.all(np.isfinite(path.cv_scores_))
    # All rows of "c" are in the last fold, whose model gives it no probability.
    assert np.all(path.cv_scores_[:, 5] < -20)
    assert path.classes_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"fold 5 is fitted to lack the classes \['c'\], for which multiclass_hinge"):
        LossClassifierCV("multiclass_hinge", alphas=[1.0], cv=KFold(6)).fit(x, y)
    with pytest.raises(ValueError, match="fold 0 is fitted to have only one class, 'b'"):
        LossClassifierCV(loss, alphas=[1.0], cv=KFold(2)).fit(x[:50], y[:50])


def test_data_frames_sparse_and_single_precision(cancer):
    pandas = pytest.importorskip("pandas")
    x, y = cancer
    options = {"penalty": "l1", "alphas": 4, "cv": 3}
    plain = LossClassifierCV(**options).fit(x, y)
    frame = pandas.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
    labels = pandas.Series(np.where(y, "good", "bad"), index=np.arange(len(y))[::-1])
    model = LossClassifierCV(**options).fit(frame, labels)
    assert model.feature_names_in_[0] == "x0"
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-6)
    assert set(model.predict(frame)) == {"bad", "good"}
    for other in (sparse.csr_array(x), x.astype(np.float32), np.asfortranarray(x)):
        found = LossClassifierCV(**options).fit(other, y)
        np.testing.assert_allclose(found.coef_, plain.coef_, atol=1e-3)
        np.testing.assert_allclose(found.cv_scores_, plain.cv_scores_, rtol=1e-3)


def test_fifty_thousand_sparse_columns():
    rng = np.random.default_rng(0)
    x = sparse.csr_array(sparse.random(120, 50_000, 1e-3, format="csr", random_state=0))
    y = np.where(rng.random(120) < 0.5, "spam", "mail")
    path = LossClassifierCV("binary_cross_entropy", penalty="l2", alphas=3, cv=2).fit(x, y)
    assert path.coef_.shape == (1, 50_000)


def test_many_targets_and_probabilities(diabetes, wine):
    x, y = diabetes
    both = LossRegressorCV("squared_error", alphas=[1.0, 0.1], cv=2).fit(x, np.column_stack([y, -y]))
    alone = LossRegressorCV("squared_error", alphas=[1.0, 0.1], cv=2).fit(x, y)
    np.testing.assert_allclose(both.cv_scores_, 2 * alone.cv_scores_, rtol=1e-5)
    x, y = wine
    soft = LossClassifierCV(alphas=[0.1], cv=KFold(3, shuffle=True, random_state=0)).fit(x, np.eye(3)[y])
    hard = LossClassifierCV(alphas=[0.1], cv=KFold(3, shuffle=True, random_state=0)).fit(x, y)
    np.testing.assert_allclose(soft.cv_scores_, hard.cv_scores_, rtol=1e-5)
    two = LossClassifierCV(alphas=[0.1], cv=3).fit(x[:130], np.eye(2)[y[:130]])
    assert two.cv_scores_.shape == (1, 3)


def test_threads_make_no_difference(cancer):
    x, y = cancer
    one = LossClassifierCV(penalty="l1", alphas=4, cv=3).fit(x, y)
    two = LossClassifierCV(penalty="l1", alphas=4, cv=3, n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(one.cv_scores_, two.cv_scores_)
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_class_weights_count_in_fits_and_in_the_loss_that_is_scored(wine):
    x, y = wine
    folds = list(StratifiedKFold(3).split(x, y))
    weights = {0: 1.0, 1: 5.0, 2: 0.5}
    of_rows = np.array([weights[label] for label in y])
    path = LossClassifierCV(alphas=[0.1], cv=folds, class_weight=weights).fit(x, y)
    same = LossClassifierCV(alphas=[0.1], cv=folds).fit(x, y, of_rows)
    np.testing.assert_allclose(path.cv_scores_, same.cv_scores_, rtol=1e-6)
    np.testing.assert_allclose(path.coef_, same.coef_, atol=1e-6)


def test_in_a_pipeline(cancer):
    model = make_pipeline(StandardScaler(), LossClassifierCV("focal", penalty="l1", alphas=5, cv=3))
    assert model.fit(*cancer).score(*cancer) > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": None}, "without one there is nothing to choose"),
        ({"l1_ratio": [0.1, 0.9]}, "several l1_ratio need penalty='elasticnet', got 'l2'"),
        ({"penalty": "elasticnet", "l1_ratio": []}, "l1_ratio must be a number or several, got none"),
        ({"penalty": "elasticnet", "l1_ratio": [0.5, 1.5]}, r"l1_ratio must lie in \[0, 1\], got 1.5"),
        ({"alphas": 0}, "alphas must be at least 1 where it is a number of them, got 0"),
        ({"alphas": [1.0, -1.0]}, r"alphas\[1\] = -1.0 must be finite and not negative"),
        ({"alphas": []}, "alphas must be None, how many, or a list of numbers"),
        ({"alphas": "many"}, "alphas must be None, how many, or a list of numbers"),
        ({"loss": "hinge"}, "use LossClassifier"),
    ],
)
def test_what_is_refused(options, message, diabetes):
    with pytest.raises(ValueError, match=message):
        LossRegressorCV(**options).fit(*diabetes)


@pytest.mark.filterwarnings("ignore:.*did not converge")
@parametrize_with_checks(
    [LossClassifierCV(alphas=3, cv=2), LossRegressorCV(alphas=3, cv=2), LossRegressorCV(penalty="l1", alphas=3, cv=2)],
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_there_are_no_folds_of_rows_that_come_in_parts():
    for model in (LossClassifierCV(), LossRegressorCV()):
        for method in ("partial_fit", "fit_blocks"):
            assert not hasattr(model, method)
            with pytest.raises(AttributeError, match=f"{method} of Loss(Classifier|Regressor) takes one alpha"):
                getattr(model, method)


def test_a_path_that_does_not_converge_says_so(cancer):
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 iterations"):
        LossClassifierCV(penalty="l1", alphas=2, cv=2, max_iter=1).fit(*cancer)


@pytest.mark.parametrize("l1_ratio", [0.5, [0.2, 0.9]])
def test_the_path_is_drawn(l1_ratio, diabetes):
    figure = pytest.importorskip("matplotlib.figure")
    x, y = diabetes
    model = LossRegressorCV("squared_error", penalty="elasticnet", l1_ratio=l1_ratio, alphas=7, cv=3)
    ax = figure.Figure().add_subplot()
    with pytest.raises(NotFittedError):
        model.plot_path(ax)
    assert model.fit(x, y).plot_path(ax) is ax
    many = isinstance(l1_ratio, list)
    scores = model.cv_scores_[l1_ratio.index(model.l1_ratio_)] if many else model.cv_scores_
    alphas = model.alphas_[l1_ratio.index(model.l1_ratio_)] if many else model.alphas_
    *folds, mean = ax.get_lines()[:4]
    np.testing.assert_array_equal(np.column_stack([line.get_ydata() for line in folds]), scores)
    np.testing.assert_allclose(mean.get_ydata(), scores.mean(axis=1))
    assert all(np.array_equal(line.get_xdata(), alphas) for line in (*folds, mean))
    assert ax.get_xscale() == "log"
    assert f"alpha_ = {model.alpha_:.3g}" in [text.get_text() for text in ax.get_legend().get_texts()]


# Of each kind of loss and penalty, and what there may be beside them.
PATHS = {
    "lasso": ("squared_error", {"penalty": "l1"}, ()),
    "elastic net": ("squared_error", {"penalty": "elasticnet", "fit_intercept": False}, ("weight", "offset")),
    "ridge": ("squared_error", {"penalty": "l2", "penalty_weight": np.arange(10) + 0.5}, ("two",)),
    "free": ("squared_error", {"penalty": "l1", "penalty_weight": np.arange(10) > 3}, ("weight",)),
    "bounds": ("squared_error", {"penalty": "l1", "positive": True}, ()),
    "huber": (fl.Huber(30.0), {"penalty": "elasticnet"}, ("offset",)),
    "poisson": ("poisson", {"penalty": "l1"}, ("weight",)),
    "quantile": (fl.Quantile(0.7), {"penalty": "l2"}, ()),
    "classes": ("cross_entropy", {"penalty": "l1"}, ("classes",)),
    "hinge": ("hinge", {"penalty": "l2"}, ("classes",)),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_that_of_separate_fits(name, diabetes, wine):
    loss, options, given = PATHS[name]
    rng = np.random.default_rng(0)
    x, y = wine if "classes" in given else diabetes
    y = np.column_stack([y, y[::-1]]) if "two" in given else y
    weight = rng.integers(0, 3, len(y)).astype(float) if "weight" in given else None
    offset = rng.normal(size=len(y)) if "offset" in given else None
    estimator = LossClassifier if "classes" in given else LossRegressor
    model = estimator(loss, tol=1e-8, **options)
    alphas, coefs, intercepts = model.path(x, y, weight, offset, alphas=6)
    assert not hasattr(model, "coef_")
    assert np.all(np.diff(alphas) < 0)
    for i in (0, 3, 5):
        alone = estimator(loss, tol=1e-8, alpha=alphas[i], **options).fit(x, y, weight, offset)
        assert coefs[..., i].shape == alone.coef_.shape
        assert intercepts[..., i].shape == np.shape(alone.intercept_)
        np.testing.assert_allclose(coefs[..., i], alone.coef_, atol=1e-4 * np.max(np.abs(coefs)))
        np.testing.assert_allclose(intercepts[..., i], alone.intercept_, rtol=1e-5, atol=1e-4)


def test_a_fold_is_prepared_once(diabetes, monkeypatch):
    prepared, made = [], linear.Fits.__init__
    monkeypatch.setattr(linear.Fits, "__init__", lambda *given: (prepared.append(1), made(*given))[1])
    LossRegressorCV("squared_error", penalty="elasticnet", l1_ratio=[0.3, 0.9], alphas=6, cv=3).fit(*diabetes)
    assert len(prepared) == 2 * 3 + 1
    del prepared[:]
    LossRegressor("squared_error", penalty="l1").path(*diabetes, alphas=6)
    assert len(prepared) == 1


def test_the_matrix_of_the_squared_error_is_made_once(diabetes, monkeypatch):
    matrices, made = [], MeanLoss.hessian
    monkeypatch.setattr(MeanLoss, "hessian", lambda *given: (matrices.append(1), made(*given))[1])
    for penalty in ("l1", "l2"):
        LossRegressor("squared_error", penalty=penalty).path(*diabetes, alphas=20)
    assert len(matrices) == 2


def test_a_path_goes_through_few_columns(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 700))
    y = x[:, :5] @ [3.0, -2.0, 2.0, 1.0, -1.0] + rng.normal(size=80)
    passes, made = [], descent._Dense.gradients
    monkeypatch.setattr(descent._Dense, "gradients", lambda *given: (passes.append(1), made(*given))[1])
    for some in (x, sparse.csr_matrix(np.where(np.abs(x) > 1, x, 0.0))):
        model = LossRegressor("squared_error", penalty="l1", tol=1e-8)
        most = model.path(some, y, alphas=1).alphas[0]
        passes.clear()
        alphas, coefs, _ = model.path(some, y, alphas=most * np.geomspace(1, 0.02, 30))
        for i in (5, 25):
            alone = LossRegressor("squared_error", penalty="l1", tol=1e-8, alpha=alphas[i]).fit(some, y)
            np.testing.assert_allclose(coefs[:, i], alone.coef_, atol=1e-5)
        if some is x:
            assert len(passes) < 30


def test_a_path_needs_a_penalty_and_folds_have_none(diabetes):
    with pytest.raises(ValueError, match="penalty must be"):
        LossRegressor(penalty=None).path(*diabetes)
    with pytest.raises(AttributeError, match="path is a method of LossRegressor"):
        LossRegressorCV().path  # noqa: B018
