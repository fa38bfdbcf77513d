"""Metrics that stand in for scikit-learn's: its results, its errors, its warnings, its own tests. And scorers."""

import importlib.util
import pickle
import re
import subprocess
import sys
import tracemalloc
import types
import warnings

import numpy as np
import pandas as pd
import pytest
import realistic

import fastloss as fl

sklearn = pytest.importorskip("sklearn")

from sklearn import metrics as theirs  # noqa: E402
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification  # noqa: E402
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, RidgeClassifier  # noqa: E402
from sklearn.metrics import get_scorer, make_scorer  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate  # noqa: E402
from sklearn.multioutput import MultiOutputClassifier  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402

import fastloss.sklearn as ours  # noqa: E402
from fastloss.sklearn import LossClassifier, LossRegressor, _metrics, log_loss, loss_scorer  # noqa: E402

PROBABILITIES = ["log_loss", "brier_score_loss", "d2_log_loss_score", "d2_brier_score"]
DEVIANCES = ["mean_poisson_deviance", "mean_gamma_deviance", "mean_tweedie_deviance"]
ERRORS = ["mean_squared_error", "mean_absolute_error", "mean_pinball_loss"]
N = 200


def rng(*seed):
    return np.random.default_rng([*seed, 0])


def probabilities(n_classes, n=N):
    return rng(n_classes, n).dirichlet(np.ones(n_classes), n)


def labels(n_classes, n=N):
    return np.resize(np.arange(n_classes), n)


def outcome(function, arguments, options):
    """What a call returns or raises, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*arguments, **options)
        except Exception as error:
            result = (type(error), str(error))
    return result, [(each.category, str(each.message)) for each in caught]


def assert_same(name, arguments, options, rtol=2e-15):
    found, told = outcome(getattr(ours, name), arguments, options)
    expected, told_there = outcome(getattr(theirs, name), arguments, options)
    assert told == told_there
    if isinstance(expected, tuple):
        assert found == expected
        return
    assert type(found) is type(expected)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-15)


@pytest.fixture
def alone(monkeypatch):
    """Whatever is handed over to scikit-learn fails."""
    monkeypatch.setattr(_metrics, "metrics", types.SimpleNamespace())


def test_without_scikit_learn(run_python):
    told = run_python(
        """
import sys
sys.modules["sklearn"] = None
try:
    import fastloss.sklearn
except ImportError as error:
    print(error)
"""
    )
    assert told.strip() == 'fastloss.sklearn needs scikit-learn: pip install "fastloss[sklearn]"'


def test_every_metric_is_compared():
    assert {*PROBABILITIES, *DEVIANCES, *ERRORS, "hinge_loss"} == set(_metrics.__all__)


# --------------------------------------------------------------------------------------- probabilities: the usual case

names = np.array(["ant", "bee", "cat", "dog", "elk"])
USUAL = {
    "two columns": (labels(2), probabilities(2), {}),
    "three classes": (labels(3), probabilities(3), {}),
    "many classes": (labels(40), probabilities(40), {}),
    "one column": (labels(2), probabilities(2)[:, 1], {}),
    "one column of shape (n, 1)": (labels(2), probabilities(2)[:, 1:], {}),
    "signs": (2 * labels(2) - 1, probabilities(2)[:, 1], {}),
    "strings": (names[labels(3)], probabilities(3), {}),
    "objects": (names[labels(3)].astype(object), probabilities(3), {}),
    "floats": (labels(3) + 5.0, probabilities(3), {}),
    "bools": (labels(2) == 1, probabilities(2), {}),
    "far integers": (np.array([-(2**40), 7, 2**40])[labels(3)], probabilities(3), {}),
    "small integers": (labels(3).astype(np.int8), probabilities(3), {}),
    "unsigned": (labels(3).astype(np.uint64), probabilities(3), {}),
    "lists": (labels(3).tolist(), probabilities(3).tolist(), {}),
    "pandas": (pd.Series(names[labels(3)].astype(object)), pd.DataFrame(probabilities(3)), {}),
    "F order": (labels(3), np.asfortranarray(probabilities(3)), {}),
    "strides": (labels(3)[::2], np.repeat(probabilities(3), 2, axis=1)[::2, ::2], {}),
    "read-only": (labels(3), np.frombuffer(probabilities(3).tobytes()).reshape(N, 3), {}),
    "weights": (labels(3), probabilities(3), {"sample_weight": rng(1).uniform(0, 2, N)}),
    "integer weights": (labels(3), probabilities(3), {"sample_weight": rng(1).integers(0, 3, N)}),
    "weights of one column": (labels(2), probabilities(2)[:, 1], {"sample_weight": list(rng(1).uniform(0, 2, N))}),
    "certain and wrong": (labels(3), np.eye(3)[labels(3)[::-1]], {}),
    "certain": (labels(3), np.eye(3)[labels(3)], {}),
}
LABELLED = {
    "labels": (labels(2), probabilities(3), {"labels": [0, 1, 2]}),
    "labels of strings": (names[labels(2)], probabilities(3), {"labels": ["ant", "bee", "dog"]}),
    "labels of integers": (labels(2) + 3, probabilities(3), {"labels": np.array([2, 3, 4])}),
}


@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.parametrize("case", [*USUAL, *LABELLED])
def test_probabilities(name, case, monkeypatch):
    y, p, options = {**USUAL, **LABELLED}[case]
    expected = getattr(theirs, name)(y, p, **options)
    monkeypatch.setattr(_metrics, "metrics", types.SimpleNamespace())
    found = getattr(ours, name)(y, p, **options)
    assert type(found) is float
    np.testing.assert_allclose(found, expected, rtol=2e-15, atol=2e-15)


@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.parametrize("n_classes", [2, 3, 40])
def test_float32(name, n_classes, alone):
    """Clipped and summed to 1 as float32 is; added up in float64, as scikit-learn does not."""
    p = probabilities(n_classes).astype(np.float32)
    p[0] = np.eye(n_classes)[1]
    found = getattr(ours, name)(labels(n_classes), p)
    np.testing.assert_allclose(found, getattr(theirs, name)(labels(n_classes), p), rtol=2e-6, atol=2e-6)
    if name == "log_loss":
        chosen = np.clip(p[np.arange(N), labels(n_classes)].astype(float), 2.0**-23, 1 - 2.0**-23)
        np.testing.assert_allclose(found, -np.log(chosen).mean(), rtol=2e-7)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("log_loss", {"normalize": False}),
        ("brier_score_loss", {"scale_by_half": True}),
        ("brier_score_loss", {"scale_by_half": False}),
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_options(name, options, weighted, n_classes, alone):
    if weighted:
        options = {**options, "sample_weight": rng(3).uniform(0, 2, N)}
    arguments = labels(n_classes), probabilities(n_classes)
    np.testing.assert_allclose(
        getattr(ours, name)(*arguments, **options), getattr(theirs, name)(*arguments, **options), rtol=2e-15
    )


@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.parametrize("n_classes", [2, 7, 300])
def test_blocks_and_threads(name, n_classes, alone):
    """Many blocks: the sums come from all of them, and are the same bits for any number of threads."""
    n = 2 * _metrics.ENOUGH_FOR_THREADS // n_classes + 13
    p, y = rng(n).uniform(0.5, 1, (n, n_classes)), labels(n_classes, n)
    p /= p.sum(axis=1, keepdims=True)
    found = []
    for n_threads in (1, 3):
        with fl.num_threads(n_threads):
            found.append(getattr(ours, name)(y, p))
    assert found[0] == found[1]
    # D2 is what is left of 1.
    np.testing.assert_allclose(found[0], getattr(theirs, name)(y, p), rtol=1e-13, atol=4e-15)


def test_blocks_do_not_depend_on_threads():
    n, found = 3 * _metrics.ENOUGH_FOR_THREADS, []
    for n_threads in (1, 3):
        with fl.num_threads(n_threads):
            found.append(_metrics._over_blocks(lambda block: (block.start, block.stop), n, 7))
    assert found[0] == found[1]
    assert len(found[0]) > 9
    starts, stops = zip(*found[0], strict=True)
    assert (0, *stops) == (*starts, n)


@pytest.mark.parametrize("name", ["log_loss", "brier_score_loss"])
def test_memory_does_not_grow_with_rows_times_classes(name, monkeypatch):
    """Only peak allocations by NumPy are counted, after a first call has started what it needs. Both sizes take all
    threads, each of which has a block of its own; blocks are so small here that it does not matter how many at once."""
    monkeypatch.setattr(_metrics, "BLOCK", 1 << 14)
    peaks = []
    for n in (160_000, 320_000):
        y, p = labels(10, n), probabilities(10, n)
        getattr(ours, name)(y, p)
        tracemalloc.start()
        getattr(ours, name)(y, p)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.05 * 160_000 * 10 * 8


# ------------------------------------------------------------------------------- probabilities: whatever is not usual


def changed(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


P3, Y3 = probabilities(3), labels(3)
UNUSUAL = {
    "larger than 1": (Y3, changed(P3, (150, 1), 1.25), {}),
    "just larger than 1": (Y3, changed(P3, 0, [1 + 2**-40, 0, 0]), {}),
    "negative": (Y3, changed(P3, (150, 1), -0.25), {}),
    "just negative": (Y3, changed(P3, (0, 0), -1e-300), {}),
    "-0.0": (Y3, changed(P3, 7, [0.5, 0.5, -0.0]), {}),
    "both": (Y3, changed(changed(P3, (150, 1), -0.25), (3, 0), 2.0), {}),
    "nan": (Y3, changed(P3, (150, 1), np.nan), {}),
    "inf": (Y3, changed(P3, (150, 1), np.inf), {}),
    "nan and larger than 1": (Y3, changed(changed(P3, (150, 1), np.nan), (3, 0), 2.0), {}),
    "sums": (Y3, changed(P3, (150, 1), 0.9), {}),
    "sums just so": (Y3, P3 * (1 + 1e-9), {}),
    "sums a little off": (Y3, P3 * (1 - 2e-8), {}),
    "all 0": (Y3, np.zeros_like(P3), {}),
    "a label too many": (changed(Y3, 0, 3), P3, {}),
    "a label too few": (Y3 % 2, P3, {}),
    "negative label": (changed(Y3, 0, -1), P3, {}),
    "one label": (np.zeros(N, int), probabilities(2), {}),
    "one label, one column": (np.ones(N, int), probabilities(2)[:, 1], {}),
    "fractions": (Y3 + 0.5, P3, {}),
    "nan among labels": (changed(Y3.astype(float), 3, np.nan), P3, {}),
    "inf among labels": (changed(labels(2).astype(float), labels(2) == 1, np.inf), probabilities(2), {}),
    "None among labels": (changed(names[Y3].astype(object), 3, None), P3, {}),
    "mixed labels": (changed(names[Y3].astype(object), 3, 1), P3, {}),
    "lengths": (Y3[:-1], P3, {}),
    "no rows": (Y3[:0], P3[:0], {}),
    "as many classes as rows": (np.arange(3), np.eye(3), {}),
    "nearly as many classes as rows": (np.r_[np.arange(18), 0, 1, 2, 3, 4, 5], probabilities(18, 24), {}),
    "half as many classes as rows": (labels(12, 24), probabilities(12, 24), {}),
    "indicator": (np.eye(3, dtype=int)[Y3], P3, {}),
    "column of labels": (Y3[:, None], P3, {}),
    "three dimensions": (Y3, P3[..., None], {}),
    "a number": (Y3, 0.5, {}),
    "strings as probabilities": (Y3, P3.astype(str), {}),
    "complex": (Y3, P3.astype(complex), {}),
    "None as labels": (None, P3, {}),
    "None as probabilities": (Y3, None, {}),
    "float16": (Y3, P3.astype(np.float16), {}),
    "masked": (Y3, np.ma.array(P3, mask=P3 > 0.9), {}),
    "byte order": (Y3.astype(">i8"), P3.astype(">f8"), {}),
    "integers": (Y3, np.eye(3, dtype=int)[Y3], {}),
    "bools": (Y3, np.eye(3, dtype=bool)[Y3], {}),
    "weights: lengths": (Y3, P3, {"sample_weight": np.ones(N - 1)}),
    "weights: nan": (Y3, P3, {"sample_weight": changed(np.ones(N), 5, np.nan)}),
    "weights: zero": (Y3, P3, {"sample_weight": np.zeros(N)}),
    "weights: negative": (Y3, P3, {"sample_weight": changed(np.ones(N), 5, -1.0)}),
    "weights: sum of zero": (Y3, P3, {"sample_weight": np.resize([1.0, -1.0], N)}),
    "weights: two dimensions": (Y3, P3, {"sample_weight": np.ones((N, 1))}),
    "weights: number": (Y3, P3, {"sample_weight": 2.0}),
    "weights: strings": (Y3, P3, {"sample_weight": ["a"] * N}),
    "labels: order": (Y3, P3, {"labels": [2, 1, 0]}),
    "labels: too many": (Y3, P3, {"labels": [0, 1, 2, 3]}),
    "labels: too few": (Y3, P3, {"labels": [0, 1]}),
    "labels: one": (np.zeros(N, int), P3, {"labels": [0]}),
    "labels: twice": (Y3, P3, {"labels": [0, 1, 1]}),
    "labels: other kind": (Y3, P3, {"labels": ["ant", "bee", "cat"]}),
    "labels: numbers for bools": (labels(2) == 1, probabilities(2), {"labels": [0, 1]}),
    "labels: bools for numbers": (labels(2), probabilities(2), {"labels": [False, True]}),
    "labels: floats": (Y3, P3, {"labels": [0.0, 1.0, 2.0]}),
    "labels: number": (Y3, P3, {"labels": 3}),
    "labels of one column": (labels(2) + 1, probabilities(2)[:, 1], {"labels": [1, 2]}),
    "both labels of one column": (np.ones(N, int), probabilities(2)[:, 1], {"labels": [0, 1]}),
    "strings of one column": (names[labels(2)], probabilities(2)[:, 1], {}),
    "three labels of one column": (Y3, P3[:, 0], {}),
    "too large in one column": (labels(2), changed(probabilities(2)[:, 1], 4, 1.5), {}),
    "negative in one column": (labels(2), changed(probabilities(2)[:, 1], 4, -0.5), {}),
    "unknown option": (Y3, P3, {"sample_wait": None}),
}


@pytest.mark.parametrize("case", UNUSUAL)
@pytest.mark.parametrize("name", PROBABILITIES)
def test_errors_warnings_and_rare_results(name, case):
    y, p, options = UNUSUAL[case]
    if case == "float16" and name.startswith("d2"):
        pytest.skip("scikit-learn's own result is a sum in float16")
    if case == "unknown option":
        with pytest.raises(TypeError, match="sample_wait"):
            getattr(ours, name)(y, p, **options)
        return
    assert_same(name, (y, p), options, rtol=2e-6 if case == "float16" else 4e-15)


OPTIONS = {
    "normalize": ("log_loss", (Y3, P3), {"normalize": 1}),
    "old name": ("log_loss", (Y3,), {"y_pred": P3}),
    "old and new name": ("log_loss", (Y3, P3), {"y_pred": P3}),
    "old name of d2": ("d2_log_loss_score", (Y3,), {"y_pred": P3}),
    "no probabilities": ("log_loss", (Y3,), {}),
    "one row of d2": ("d2_log_loss_score", ([1], [[0.5, 0.5]]), {}),
    "one row of d2 brier": ("d2_brier_score", ([1], [0.5]), {}),
    "pos_label": ("brier_score_loss", (labels(2), P3[:, 0]), {"pos_label": 0}),
    "pos_label of strings": ("brier_score_loss", (names[labels(2)], P3[:, 0]), {"pos_label": "ant"}),
    "pos_label of columns": ("brier_score_loss", (Y3, P3), {"pos_label": 1}),
    "pos_label of others": ("brier_score_loss", (labels(2) + 1, P3[:, 0]), {"pos_label": 5}),
    "pos_label of d2": ("d2_brier_score", (labels(2), P3[:, 0]), {"pos_label": 0}),
    "scale_by_half": ("brier_score_loss", (labels(2), P3[:, 0]), {"scale_by_half": "always"}),
    "scale_by_half, a number": ("brier_score_loss", (labels(2), P3[:, 0]), {"scale_by_half": 1}),
    "one label of brier": ("brier_score_loss", (np.ones(N, int), P3[:, 0]), {}),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_are_not_usual(case):
    assert_same(*OPTIONS[case])


# ---------------------------------------------------------------------------------------------------- hinge, regression

Z1, Z3 = rng(5).normal(size=N), rng(6).normal(size=(N, 3))
HINGE = {
    "two classes": ((labels(2), Z1), {}),
    "signs": ((2 * labels(2) - 1, Z1), {}),
    "strings": ((names[labels(2)], Z1), {}),
    "three classes": ((Y3, Z3), {}),
    "labels": ((Y3 % 2, Z3), {"labels": [0, 1, 2]}),
    "weights": ((Y3, Z3), {"sample_weight": rng(1).uniform(0, 2, N)}),
    "weights of two": ((labels(2), Z1), {"sample_weight": rng(1).uniform(0, 2, N)}),
}


@pytest.mark.parametrize("case", HINGE)
def test_hinge_loss(case, monkeypatch):
    arguments, options = HINGE[case]
    expected = theirs.hinge_loss(*arguments, **options)
    monkeypatch.setattr(_metrics, "metrics", types.SimpleNamespace())
    np.testing.assert_allclose(ours.hinge_loss(*arguments, **options), expected, rtol=4e-15)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((Y3 % 2, Z3), {}),
        ((Y3, Z1), {}),
        ((Y3, Z3), {"labels": [0, 1]}),
        ((changed(Y3, 0, 5), Z3), {"labels": [0, 1, 2]}),
        ((Y3, changed(Z3, (2, 2), np.nan)), {}),
        ((np.zeros(N, int), Z1), {}),
        ((np.ones(N, int), Z1), {"labels": [0, 1]}),
        ((labels(2), Z3[:, :2]), {}),
        ((labels(2), Z1[:, None]), {}),
        ((Y3[:-1], Z3), {}),
        ((Y3, Z3.astype(str)), {}),
        ((Y3, Z3), {"sample_weight": np.resize([1.0, -0.5], N)}),
        ((Y3, Z3), {"sample_weight": np.zeros(N)}),
        ((Y3, (10 * Z3).astype(int)), {}),
    ],
    ids=range(14),
)
def test_hinge_loss_not_usual(arguments, options):
    assert_same("hinge_loss", arguments, options, rtol=4e-15)


T, M = rng(7).gamma(2.0, size=N), rng(8).gamma(2.0, size=N)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in (*DEVIANCES[:2], *ERRORS)),
        *(("mean_tweedie_deviance", {"power": power}) for power in (1, 1.3, 2.0)),
        ("mean_pinball_loss", {"alpha": 0.9}),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["float64", "float32", "mixed", "integers", "pandas"])
def test_regression(name, options, weighted, kind, monkeypatch):
    target, mean = {
        "float64": (T, M),
        "float32": (T.astype(np.float32), M.astype(np.float32)),
        "mixed": (T.astype(np.float32), M),
        "integers": (np.ceil(T).astype(int), M),
        "pandas": (pd.Series(T), pd.Series(M, index=np.arange(N) + 5)),
    }[kind]
    if weighted:
        options = {**options, "sample_weight": rng(1).uniform(0, 2, N)}
    expected = getattr(theirs, name)(target, mean, **options)
    monkeypatch.setattr(_metrics, "metrics", types.SimpleNamespace())
    found = getattr(ours, name)(target, mean, **options)
    assert type(found) is type(expected)
    np.testing.assert_allclose(found, expected, rtol=2e-6 if kind == "float32" else 1e-14)


@pytest.mark.parametrize(
    "arguments",
    [
        (changed(T, 3, 0.0), M),
        (changed(T, 3, -1.0), M),
        (T, changed(M, 3, 0.0)),
        (T, changed(M, 3, np.nan)),
        (changed(T, 3, np.inf), M),
        (T, M[:-1]),
        (T[:, None], M[:, None]),
        (T, M[:, None]),
        (np.stack([T, M], axis=1), np.stack([M, T], axis=1)),
        (T[:0], M[:0]),
        (T.astype(str), M),
        (None, M),
        (T, np.ma.array(M, mask=M > 3)),
    ],
    ids=[
        "zero",
        "negative",
        "mean 0",
        "nan",
        "inf",
        "lengths",
        "columns",
        "column",
        "outputs",
        "empty",
        "str",
        "None",
        "masked",
    ],
)
@pytest.mark.parametrize("name", [*DEVIANCES, *ERRORS])
def test_regression_not_usual(name, arguments):
    assert_same(name, arguments, {}, rtol=4e-15)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("mean_tweedie_deviance", {"power": power}) for power in (-1, 0, 0.5, 3, "1", True)),
        *(("mean_pinball_loss", {"alpha": alpha}) for alpha in (0, 0.0, 1.0, 1, 1.5, "a")),
        *((name, {"multioutput": how}) for name in ERRORS for how in ("raw_values", [1.0], "median")),
        *((name, {"sample_weight": w}) for name in ERRORS for w in (np.zeros(N), [1.0], np.resize([2.0, -1.0], N))),
    ],
    ids=str,
)
def test_options_of_regression(name, options):
    assert_same(name, (T, M), options, rtol=1e-14)


# --------------------------------------------------------------------------------------------- scikit-learn's own tests

PLUGIN = """
import types
import sklearn.metrics
from fastloss.sklearn import _metrics

_metrics.metrics = types.SimpleNamespace(**vars(sklearn.metrics))
for name in _metrics.__all__:
    setattr(sklearn.metrics, name, getattr(_metrics, name))
"""


@pytest.mark.parametrize(
    ("module", "chosen", "fewest"),
    [
        ("test_classification", "log_loss or brier or hinge or d2", 40),
        ("test_regression", "deviance or pinball or squared or absolute or regression_metrics", 15),
    ],
    ids=["classification", "regression"],
)
def test_scikit_learns_own_tests(tmp_path, module, chosen, fewest):
    """They run with these metrics in the place of its own."""
    module = f"sklearn.metrics.tests.{module}"
    if importlib.util.find_spec(module) is None:
        pytest.skip("scikit-learn is installed without its tests")
    (tmp_path / "ours_for_theirs.py").write_text(PLUGIN)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "-q", "-p", "ours_for_theirs", "-p", "no:cacheprovider"]
        + ["--pyargs", module, "-k", chosen],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr
    assert int(re.search(r"(\d+) passed", run.stdout.splitlines()[-1])[1]) >= fewest


# -------------------------------------------------------------------------------------------------------------- scorers


def data_of(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("labels", [None, names], ids=["numbers", "strings"])
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris], ids=["two classes", "three classes"])
@pytest.mark.parametrize(
    "model", [LogisticRegression(C=0.01), GaussianNB()], ids=["decision_function", "predict_proba"]
)
def test_cross_entropy_is_neg_log_loss(model, load, labels):
    X, y = data_of(load)
    y = y if labels is None else labels[y]
    expected = cross_val_score(model, X, y, scoring="neg_log_loss")
    losses = ["cross_entropy", fl.BinaryCrossEntropy()] if len(np.unique(y)) == 2 else ["cross_entropy"]
    for loss in losses:
        np.testing.assert_allclose(cross_val_score(model, X, y, scoring=loss_scorer(loss)), expected, rtol=1e-9)


def test_no_digit_is_lost_in_probabilities():
    X, y = np.linspace(-1, 1, 20)[:, None], np.resize([0, 1], 20)
    model = LogisticRegression().fit(X, y)
    model.coef_, model.intercept_ = np.array([[1000.0]]), np.array([0.0])
    z = model.decision_function(X)
    assert loss_scorer("binary_cross_entropy")(model, X, y) == -fl.binary_cross_entropy(z, y)
    assert theirs.log_loss(y, model.predict_proba(X)) < 0.2 * fl.binary_cross_entropy(z, y)


@pytest.mark.parametrize(
    "loss", [fl.Hinge(), fl.SquaredHinge(), fl.BinaryFocal(), fl.Exponential(), fl.Dice()], ids=str
)
def test_binary_losses(loss):
    X, y = data_of(load_breast_cancer)
    model = LogisticRegression().fit(X, names[y])
    w = rng(1).uniform(0, 2, len(y))
    expected = -loss(model.decision_function(X), y, sample_weight=w)
    assert loss_scorer(loss)(model, X, names[y], sample_weight=w) == expected


@pytest.mark.parametrize("loss", [fl.MulticlassHinge(), fl.Focal(class_weight=[1, 2, 3]), fl.Poly1()], ids=str)
def test_rowwise_losses(loss):
    X, y = data_of(load_iris)
    model = LinearSVC().fit(X, names[y])
    w = rng(1).uniform(0, 2, len(y))
    expected = -loss(model.decision_function(X), y, sample_weight=w)
    assert loss_scorer(loss)(model, X, names[y], sample_weight=w) == expected


def test_rowwise_losses_of_one_score():
    X, y = data_of(load_breast_cancer)
    model = LogisticRegression().fit(X, y)
    z = model.decision_function(X)
    expected = -fl.focal(np.stack([0 * z, z], axis=1), y)
    np.testing.assert_allclose(loss_scorer("focal")(model, X, y), expected, rtol=1e-13)


def test_one_against_the_rest_is_what_is_fitted():
    X, y = data_of(load_iris)
    w = rng(1).uniform(0, 2, len(y))
    model = LossClassifier(loss="squared_hinge", penalty=None).fit(X, y, w)
    np.testing.assert_allclose(
        loss_scorer("squared_hinge")(model, X, y, sample_weight=w), -model.loss_curve_[-1], rtol=1e-6
    )


def test_classes_that_a_fold_lacks():
    X, y = data_of(load_iris)
    model = LogisticRegression().fit(X, y)
    fold = y < 2
    expected = theirs.log_loss(y[fold], model.predict_proba(X[fold]), labels=[0, 1, 2])
    np.testing.assert_allclose(loss_scorer("cross_entropy")(model, X[fold], y[fold]), -expected, rtol=1e-9)
    one = y == 2
    assert np.isfinite(loss_scorer("multiclass_hinge")(model, X[one], y[one]))


FITTED_TO = [
    fl.BinaryCrossEntropy(),
    fl.BinaryFocal(gamma=2.0, alpha=0.3),
    fl.BinaryCrossEntropy(pos_weight=5.0, label_smoothing=0.1),
    fl.Exponential(),
    fl.CrossEntropy(class_weight=[1.0, 4.0]),
    fl.Focal(gamma=2.0),
]


@pytest.mark.parametrize("scored", ["binary_cross_entropy", "cross_entropy"])
@pytest.mark.parametrize("loss", FITTED_TO, ids=repr)
def test_scores_of_other_losses_are_not_taken_for_log_odds(loss, scored):
    X, y = data_of(load_breast_cancer)
    X = StandardScaler().fit_transform(X)[:, :3]
    model = make_pipeline(StandardScaler(), LossClassifier(loss, alpha=1e-3)).fit(X, names[y])
    found = loss_scorer(scored)(model, X, names[y])
    assert found == pytest.approx(get_scorer("neg_log_loss")(model, X, names[y]), rel=1e-6)
    # Of its own loss, what was minimised, and not that of its probabilities.
    z = model.decision_function(X)
    own = -loss(z if isinstance(loss, fl._kernels.PointwiseLoss) else np.stack([0 * z, z], axis=1), y)
    assert loss_scorer(loss)(model, X, names[y]) == pytest.approx(own, rel=1e-9)


def test_scores_of_other_losses_of_many_classes():
    X, y = data_of(load_iris)
    for loss in ("focal", fl.CrossEntropy(class_weight=[1, 5, 1]), "binary_focal", "cross_entropy"):
        model = LossClassifier(loss, alpha=1e-3).fit(X, names[y])
        expected = get_scorer("neg_log_loss")(model, X, names[y])
        assert loss_scorer("cross_entropy")(model, X, names[y]) == pytest.approx(expected, rel=1e-6)


def test_decision_functions_that_are_no_logits():
    X, y = data_of(load_breast_cancer)
    model = AdaBoostClassifier(n_estimators=5, random_state=0).fit(X, y)
    expected = -theirs.log_loss(y, model.predict_proba(X))
    assert loss_scorer("binary_cross_entropy")(model, X, y) == pytest.approx(expected, rel=1e-9)
    asked = loss_scorer("binary_cross_entropy", response_method="decision_function")
    assert asked(model, X, y) == -fl.binary_cross_entropy(model.decision_function(X), y)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "focal", "binary_focal"])
@pytest.mark.parametrize("model", [LossClassifier(alpha=1e-2), LogisticRegression(), KNeighborsClassifier()], ids=repr)
def test_training_folds_that_lack_a_class(model, loss):
    """With all labels the folds are scored: a class that was not seen has probability 0, clipped as log_loss does."""
    X, y, folds = realistic.folds_lacking_a_class()
    train, test = folds[0]
    model.fit(X[train], y[train])
    labels = np.unique(y)
    with pytest.raises(ValueError, match=r"^y holds \['rare'\].*labels="):
        loss_scorer(loss)(model, X[test], y[test])
    scores = cross_val_score(model, X, y, cv=folds, scoring=loss_scorer(loss, labels=labels), error_score="raise")
    assert np.isfinite(scores).all()
    if loss == "cross_entropy":
        p = np.zeros((len(test), len(labels)))
        p[:, np.isin(labels, model.classes_)] = model.predict_proba(X[test])
        assert scores[0] == pytest.approx(-log_loss(y[test], p, labels=labels), rel=1e-6)
    two = np.isin(y[train], ["common", "often"])
    alone = model.fit(X[train][two], y[train][two])
    assert np.isfinite(loss_scorer(loss, labels=labels)(alone, X[test], y[test]))


def test_margins_of_classes_not_seen_are_refused():
    X, y, folds = realistic.folds_lacking_a_class()
    model = LinearSVC().fit(X[folds[0][0]], y[folds[0][0]])
    with pytest.raises(ValueError, match=r"has not seen the classes \['rare'\].*multiclass_hinge has no score"):
        loss_scorer("multiclass_hinge", labels=np.unique(y))(model, X, y)


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(5, random_state=0), LogisticRegression()], ids=["forest", "logistic"]
)
@pytest.mark.parametrize("n_labels", [2, 4])
def test_multilabel(model, n_labels):
    X, y = make_multilabel_classification(n_classes=n_labels, random_state=0)
    model = (model if isinstance(model, RandomForestClassifier) else MultiOutputClassifier(model)).fit(X, y)
    p = np.stack([each[:, 1] for each in model.predict_proba(X)], axis=1)
    expected = -sum(theirs.log_loss(y[:, k], p[:, k]) for k in range(n_labels))
    np.testing.assert_allclose(loss_scorer("binary_cross_entropy")(model, X, y), expected, rtol=1e-12)


def test_multilabel_scores():
    X, y = make_multilabel_classification(random_state=0)
    w = rng(1).uniform(0, 2, len(y))
    model = LossClassifier(loss="binary_cross_entropy", alpha=0.1).fit(X, y)
    z = model.decision_function(X)
    expected = -sum(fl.binary_cross_entropy(z[:, k], y[:, k], sample_weight=w) for k in range(y.shape[1]))
    np.testing.assert_allclose(loss_scorer("binary_cross_entropy")(model, X, y, sample_weight=w), expected, rtol=1e-12)


def test_probabilities_of_losses_with_other_links():
    X, y = data_of(load_breast_cancer)
    model = GaussianNB(var_smoothing=1.0).fit(X, y)
    p = model.predict_proba(X)[:, 1]
    expected = -np.mean(np.where(y == 1, np.sqrt((1 - p) / p), np.sqrt(p / (1 - p))))
    np.testing.assert_allclose(loss_scorer("exponential")(model, X, y), expected, rtol=1e-9)
    np.testing.assert_allclose(loss_scorer("brier")(model, X, y), -theirs.brier_score_loss(y, p), rtol=1e-9)


def test_response_method():
    X, y = data_of(load_breast_cancer)
    model = LogisticRegression().fit(X, y)
    asked = loss_scorer("brier", response_method="predict_proba")
    np.testing.assert_allclose(asked(model, X, y), loss_scorer("brier")(model, X, y), rtol=1e-9)
    with pytest.raises(TypeError, match="needs an estimator with predict_proba; RidgeClassifier has none"):
        asked(RidgeClassifier().fit(X, y), X, y)


@pytest.mark.parametrize(
    ("loss", "name"), [("squared_error", "neg_mean_squared_error"), ("absolute_error", "neg_mean_absolute_error")]
)
def test_regressors(loss, name):
    X, y = data_of(load_diabetes)
    expected = cross_val_score(LinearRegression(), X, y, scoring=name)
    np.testing.assert_allclose(
        cross_val_score(LinearRegression(), X, y, scoring=loss_scorer(loss)), expected, rtol=1e-12
    )


def test_log_link():
    X, y = data_of(load_diabetes)
    w = rng(1).uniform(0, 2, len(y))
    model = PoissonRegressor(alpha=0.1).fit(X, y)
    z = X @ model.coef_ + model.intercept_
    for loss in (fl.Poisson(), fl.Gamma(), fl.Tweedie()):
        expected = -loss(z, y, sample_weight=w)
        np.testing.assert_allclose(loss_scorer(loss)(model, X, y, sample_weight=w), expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"^poisson is scored at the logarithm of predictions"):
        loss_scorer("poisson")(LinearRegression().fit(X, y - 1000), X, y)


def test_search_pipeline_and_several_scorers():
    X, y = data_of(load_iris)
    model = make_pipeline(StandardScaler(), LossClassifier(alpha=1e-2))
    scoring = {"ours": loss_scorer("cross_entropy"), "accuracy": "accuracy", "theirs": "neg_log_loss"}
    search = GridSearchCV(model, {"lossclassifier__alpha": [1e-1, 1.0]}, scoring=scoring, refit="ours", cv=3)
    found = search.fit(X, names[y]).cv_results_
    np.testing.assert_allclose(found["mean_test_ours"], found["mean_test_theirs"], rtol=1e-9)
    assert search.score(X, names[y]) == loss_scorer("cross_entropy")(search.best_estimator_, X, names[y])


def test_metadata_routing():
    X, y = data_of(load_diabetes)
    w = rng(1).uniform(0, 2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        model = LossRegressor(loss="huber", alpha=1.0).set_fit_request(sample_weight=True)
        for requested in (True, False):
            scores = [
                cross_validate(
                    model, X, y, scoring=scorer.set_score_request(sample_weight=requested), params={"sample_weight": w}
                )
                for scorer in (
                    loss_scorer("squared_error"),
                    make_scorer(theirs.mean_squared_error, greater_is_better=False),
                )
            ]
            np.testing.assert_allclose(*(each["test_score"] for each in scores), rtol=1e-12)


def test_pickle_and_repr():
    X, y = data_of(load_iris)
    scorer = pickle.loads(pickle.dumps(loss_scorer(fl.Focal(gamma=1.0))))
    model = LogisticRegression().fit(X, y)
    assert scorer(model, X, y) == loss_scorer(fl.Focal(gamma=1.0))(model, X, y)
    assert repr(loss_scorer("huber")) == "loss_scorer(Huber(delta=1.0))"
    assert repr(loss_scorer("hinge", response_method="decision_function")).endswith(
        "response_method='decision_function')"
    )


class Scores(ClassifierMixin, BaseEstimator):
    """Gives back its X as scores; classes are set by hand."""

    def __init__(self, classes=None):
        if classes is not None:
            self.classes_ = np.array(classes)

    def decision_function(self, X):
        return X


class Duck(BaseEstimator):
    """No classifier in scikit-learn's eyes."""

    def decision_function(self, X):
        return X


def test_labels_for_estimators_without_classes():
    z, y = rng(0).normal(size=(9, 3)), names[labels(3, 9)]
    order = ["cat", "ant", "bee"]
    expected = -fl.cross_entropy(z, [order.index(label) for label in y])
    assert loss_scorer("cross_entropy", labels=order)(Duck(), z, y) == expected
    with pytest.raises(ValueError, match=r"^Duck has no classes_.*labels="):
        loss_scorer("cross_entropy")(Duck(), z, y)


@pytest.mark.parametrize(
    ("loss", "model", "X", "y", "error", "message"),
    [
        (
            "cross_entropy",
            Scores([0, 1, 2]),
            np.zeros((4, 3)),
            [0, 1, 2, 3],
            ValueError,
            r"^y holds \[3\], which are not",
        ),
        (
            "cross_entropy",
            Scores([0, 1, 2]),
            np.zeros((4, 6)),
            [0, 1, 2, 2],
            ValueError,
            r"3 classes, but its scores have",
        ),
        (
            "cross_entropy",
            LinearRegression(),
            np.zeros((4, 1)),
            [0, 1, 0, 1],
            TypeError,
            "^cross_entropy needs an estimator",
        ),
        ("hinge", GaussianNB(), np.arange(4.0)[:, None], [0, 1, 0, 1], TypeError, "^hinge is a loss of margins"),
        (
            "multiclass_hinge",
            GaussianNB(),
            np.arange(4.0)[:, None],
            [0, 1, 0, 1],
            TypeError,
            "^multiclass_hinge is a loss of",
        ),
    ],
    ids=[
        "unknown label",
        "scores of pairs",
        "regressor",
        "hinge of probabilities",
        "multiclass hinge of probabilities",
    ],
)
def test_refused(loss, model, X, y, error, message):
    if not isinstance(model, Scores):
        model.fit(X, y)
    with pytest.raises(error, match=message):
        loss_scorer(loss)(model, X, y)


@pytest.mark.parametrize(
    ("loss", "options", "error", "message"),
    [
        ("hubber", {}, ValueError, "huber"),
        (3, {}, TypeError, "^loss must be"),
        ("huber", {"response_method": "predict_proba"}, ValueError, "^response_method must be 'predict' for huber"),
        ("focal", {"response_method": "predict"}, ValueError, "^response_method must be 'decision_function' or"),
        ("focal", {"response_method": "score"}, ValueError, "^response_method must be 'decision_function' or"),
    ],
    ids=["name", "number", "huber", "focal", "no method"],
)
def test_refused_when_made(loss, options, error, message):
    with pytest.raises(error, match=message):
        loss_scorer(loss, **options)
