"""Rows that are not all there at once: passes over blocks are the fit of all, and batches come near it."""

import pickle
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse

import fastloss as fl
from fastloss.sklearn import LossClassifier, LossRegressor

N, D = 400, 5
LABELS = [fl.CrossEntropy(), fl.BinaryCrossEntropy(), fl.BinaryFocal(), fl.SquaredHinge()]
NUMBERS = [fl.SquaredError(), fl.Huber(0.5), fl.Poisson(), fl.Gamma()]


def is_of_labels(loss):
    return loss.target_domain == "unit interval"


def estimator(loss, **parameters):
    return (LossClassifier if is_of_labels(loss) else LossRegressor)(loss, **parameters)


def make(loss, n_classes=2, n=N, seed=0):
    """Uncentred features of many scales."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, D)) * [1, 1e3, 1e-2, 1, 1] + [0, 1e4, 0, 100, 0]
    z = (x - [0, 1e4, 0, 100, 0]) / [1, 1e3, 1e-2, 1, 1] @ [0.8, -0.5, 0.3, 0.0, -0.6]
    if is_of_labels(loss):
        y = np.digitize(z + rng.logistic(size=n), np.linspace(-1, 1, n_classes - 1) if n_classes > 2 else [0.0])
    elif loss.target_domain == "any":
        y = z + rng.standard_t(4, size=n)
    else:
        y = np.exp(z) * rng.gamma(2.0, 0.5, size=n) + 1e-3
    return x, y, rng.integers(0, 3, n).astype(float)


def parts(*arrays, k=6):
    """Blocks of different lengths."""
    ends = np.cumsum(np.arange(1, k + 1))
    ends = ends * arrays[0].shape[0] // ends[-1]
    return [tuple(a[i:j] for a in arrays) for i, j in zip(np.append(0, ends[:-1]), ends, strict=True)]


def close(found, expected, x, tolerance=1e-6):
    """Scores agree to a share of their spread; those of a softmax but for what all classes have in common."""
    a, b = (x @ np.atleast_2d(m.coef_).T + m.intercept_ for m in (found, expected))
    if found.loss == "cross_entropy" and a.shape[1] > 1:
        a, b = (each - each.mean(axis=1, keepdims=True) for each in (a, b))
    assert np.max(np.abs(a - b)) <= tolerance * (np.std(b) + 1e-3)


@pytest.mark.parametrize("penalty", [None, "l2", "l1"])
@pytest.mark.parametrize("loss", [*LABELS, *NUMBERS], ids=lambda loss: loss.name)
def test_passes_over_blocks_are_the_fit_of_all_rows(loss, penalty):
    x, y, weight = make(loss, 3 if loss in LABELS[:2] else 2)
    options = {"penalty": penalty, "alpha": 0.01, "tol": 1e-8}
    whole = estimator(loss, **options).fit(x, y, weight)
    found = estimator(loss, **options).fit_blocks(parts(x, y, weight))
    close(found, whole, x)
    assert found.loss_curve_[-1] == pytest.approx(whole.loss_curve_[-1], rel=1e-9)
    assert found.n_features_in_ == D
    if is_of_labels(loss):
        np.testing.assert_array_equal(found.classes_, whole.classes_)
        np.testing.assert_allclose(found.predict(x), whole.predict(x))


@pytest.mark.parametrize("loss", [fl.Quantile(0.8), fl.Hinge()], ids=lambda loss: loss.name)
def test_losses_with_kinks_come_near(loss):
    x, y, _ = make(loss, n=120)
    model = estimator(loss, alpha=0.01, tol=1e-4)
    whole = model.fit(x, y).loss_curve_[-1]
    assert estimator(loss, alpha=0.01, tol=1e-4).fit_blocks(parts(x, y, k=3)).loss_curve_[-1] <= whole * (1 + 1e-3)


def test_blocks_take_all_options():
    x, y, weight = make(fl.Poisson())
    offset = np.random.default_rng(1).normal(size=N)
    options = {"penalty_weight": [1, 0, 2, 1, 1], "bounds": (-0.1, [0.5, 9, 9, 9, 9]), "tol": 1e-8}
    whole = LossRegressor("poisson", **options).fit(x, y, weight, offset)
    close(LossRegressor("poisson", **options).fit_blocks(parts(x, y, weight, offset)), whole, x)
    x, y, weight = make(fl.CrossEntropy(), 3)
    for class_weight in ("balanced", {0: 1.0, 1: 2.0, 2: 0.5}):
        model = LossClassifier(class_weight=class_weight, tol=1e-8)
        whole = model.fit(x, y, weight)
        found = LossClassifier(class_weight=class_weight, tol=1e-8).fit_blocks(parts(x, y, weight))
        close(found, whole, x)


def test_blocks_of_sorted_labels_soft_targets_and_two_columns():
    x, y, _ = make(fl.CrossEntropy(), 3)
    order = np.argsort(y, kind="stable")
    names = np.array(["cat", "dog", "owl"])[y]
    whole = LossClassifier(tol=1e-8).fit(x, names)
    found = LossClassifier(tol=1e-8).fit_blocks(parts(x[order], names[order]))
    close(found, whole, x)
    np.testing.assert_array_equal(found.predict(x), whole.predict(x))
    soft = 0.8 * np.eye(3)[y] + 0.1
    for loss in ("cross_entropy", "binary_cross_entropy"):
        whole = LossClassifier(loss, tol=1e-8).fit(x, soft)
        found = LossClassifier(loss, tol=1e-8).fit_blocks(parts(x, soft))
        close(found, whole, x)
        np.testing.assert_allclose(found.predict_proba(x), whole.predict_proba(x), atol=1e-5)
    both = np.column_stack([x[:, 0], y + x[:, 2]])
    whole = LossRegressor("squared_error", tol=1e-8).fit(x, both)
    found = LossRegressor("squared_error", tol=1e-8).fit_blocks(parts(x, both))
    close(found, whole, x, 1e-5)


@pytest.mark.parametrize("layout", ["csr", "float32", "frames"])
def test_blocks_of_any_layout(layout):
    x, y, _ = make(fl.CrossEntropy())
    x = x / [1, 1e3, 1e-2, 1, 1] - [0, 10, 0, 100, 0]
    whole = LossClassifier().fit(x, y)
    blocks = parts(x, y)
    if layout == "frames":
        pandas = pytest.importorskip("pandas")
        blocks = [(pandas.DataFrame(a, columns=list("abcde")), pandas.Series(b)) for a, b in blocks]
    else:
        blocks = [(sparse.csr_array(a) if layout == "csr" else a.astype(np.float32), b) for a, b in blocks]
    found = LossClassifier().fit_blocks(blocks)
    close(found, whole, x, 1e-3 if layout == "float32" else 1e-5)
    assert found.coef_.dtype == (np.float32 if layout == "float32" else np.float64)
    assert hasattr(found, "feature_names_in_") == (layout == "frames")


class Rows:
    """Blocks that are made when they are asked for."""

    def __init__(self, n_blocks, n=5000, d=20):
        self.n_blocks, self.n, self.d = n_blocks, n, d

    def __iter__(self):
        for seed in range(self.n_blocks):
            rng = np.random.default_rng(seed)
            x = rng.normal(size=(self.n, self.d))
            yield x, rng.random(self.n) < fl.sigmoid(x[:, 0] - 1)


def peak(work):
    tracemalloc.start()
    work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_does_not_grow_with_the_number_of_blocks():
    LossClassifier().fit_blocks(Rows(1, 100))
    few, many = (peak(lambda n=n: LossClassifier().fit_blocks(Rows(n))) for n in (2, 12))
    assert many < 1.5 * few


def test_what_blocks_refuse():
    x, y, weight = make(fl.SquaredError())
    model = LossRegressor("squared_error")
    with pytest.raises(TypeError, match="blocks must start anew each time"):
        model.fit_blocks(iter(parts(x, y)))
    with pytest.raises(TypeError, match=r"block 1 must be a tuple \(X, y\)"):
        model.fit_blocks([(x, y), x])
    with pytest.raises(ValueError, match="blocks hold no rows"):
        model.fit_blocks([])
    with pytest.raises(ValueError, match="features"):
        model.fit_blocks([(x, y), (x[:, :3], y)])
    with pytest.raises(ValueError, match=r"y\[3\] = -1.0"):
        LossRegressor("poisson").fit_blocks([(x, np.where(np.arange(N) == 3, -1, 1.0))])
    with pytest.raises(ValueError, match="at least two classes"):
        LossClassifier().fit_blocks([(x, np.ones(N))])
    rng = np.random.default_rng(0)

    class Changing:
        def __iter__(self):
            n = int(rng.integers(50, 200))
            return iter([(x[:n], y[:n])])

    with pytest.raises(ValueError, match="rows in the first pass and"):
        model.fit_blocks(Changing())


def test_batches_of_the_squared_error_are_the_fit_of_all_rows():
    x, y, weight = make(fl.SquaredError(), n=6000)
    whole = LossRegressor("squared_error", alpha=0.01, tol=1e-9).fit(x, y, weight)
    model = LossRegressor("squared_error", alpha=0.01, tol=1e-9)
    for block in parts(x, y, weight, k=12):
        model.partial_fit(*block)
    close(model, whole, x)
    again = pickle.loads(pickle.dumps(model)).partial_fit(x, y, weight)
    close(again, whole, x, 1e-5)


STREAMED = [fl.CrossEntropy(), fl.BinaryCrossEntropy(), fl.Huber(1.0), fl.Poisson(), fl.Quantile(0.8)]


@pytest.mark.parametrize("loss", STREAMED, ids=lambda loss: loss.name)
def test_batches_come_near_the_fit_of_all_rows(loss):
    x, y, _ = make(loss, 3, n=8000)
    whole = estimator(loss, alpha=1e-3).fit(x, y)
    model = estimator(loss, alpha=1e-3)
    for i, block in enumerate(parts(x, y, k=12)):
        model.partial_fit(*block, **({"classes": [0, 1, 2]} if i == 0 and is_of_labels(loss) else {}))
    a, b = (x @ np.atleast_2d(m.coef_).T + m.intercept_ for m in (model, whole))
    # What 8000 rows leave open of the scores is about sqrt(6 / 8000) of their spread.
    near = 0.1 if loss.traits.has_kinks else 0.03
    assert np.sqrt(np.mean(np.square(a - b))) <= near * np.std(b)


def test_the_first_batches_are_a_fit():
    x, y, weight = make(fl.CrossEntropy(), 3)
    model = LossClassifier()
    for i in range(0, 100, 10):
        model.partial_fit(x[i : i + 10], y[i : i + 10], classes=[2, 1, 0], sample_weight=weight[i : i + 10])
    whole = LossClassifier().fit(x[:100], y[:100], weight[:100])
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-6)
    one = LossClassifier().partial_fit(x[:5], ["a"] * 5, classes=["a", "b"])
    assert one.predict(x).tolist() == ["a"] * N
    one.partial_fit(x, np.where(y == 0, "b", "a"))
    assert set(one.predict(x)) == {"a", "b"}


def test_a_fit_forgets_batches_and_memory_does_not_grow():
    x, y, _ = make(fl.Huber(), n=3000)
    model = LossRegressor()
    sizes = []
    for block in parts(x, y, k=12):
        model.partial_fit(*block)
        sizes.append(len(pickle.dumps(model)))
    assert sizes[-1] == sizes[-2] < max(sizes)
    model.fit(x[:50], y[:50])
    model.partial_fit(x[50:100], y[50:100])
    np.testing.assert_allclose(model.coef_, LossRegressor().fit(x[50:100], y[50:100]).coef_)


def test_what_batches_refuse():
    x, y, _ = make(fl.CrossEntropy())
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        LossClassifier().partial_fit(x, y)
    model = LossClassifier().partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes are \[0, 1, 2\], and were"):
        model.partial_fit(x, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y holds \[5\]"):
        model.partial_fit(x, np.full(N, 5))
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(x[:, :2], y)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.partial_fit(x, y, sample_weight=np.zeros(N))
    np.testing.assert_array_equal(model.coef_, before)
    with pytest.raises(ValueError, match="pass a dict of weights to partial_fit"):
        LossClassifier(class_weight="balanced").partial_fit(x, y, classes=[0, 1])
    wide = sparse.csr_array((10, 50_000))
    with pytest.raises(ValueError, match="takes up to 1500: use fit_blocks"):
        LossClassifier().partial_fit(wide, np.arange(10) % 2, classes=[0, 1])
