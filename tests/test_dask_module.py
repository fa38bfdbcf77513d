"""`fastloss.dask`: the numbers of the whole arrays, whatever the chunks; nothing is computed before its time."""

import subprocess
import sys

import numpy as np
import pytest

import fastloss as fl

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

import fastloss.dask as lazy  # noqa: E402

REDUCTIONS = ("mean", "sum", "none")
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)
N_ROWS, N_CLASSES = 60, 4
# How predictions are cut, how targets and weights come, which weights, in which dtype: each once, not all with all.
WAYS = {
    "rows": ((17, N_CLASSES), "lazy", "weighted", np.float64),
    "rows and classes": ((25, 3), "lazy", "plain", np.float32),
    "uneven": (((1, 40, 19), N_CLASSES), "arrays", "one number", np.float64),
    "one": ((N_ROWS, N_CLASSES), "lists", "weighted", np.float32),
}


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


def draw_weight(shape):
    return np.random.default_rng(3).uniform(0.2, 2, shape) * (np.random.default_rng(4).uniform(size=shape) < 0.9)


def as_given(array, kind):
    if array is None or np.ndim(array) == 0 or kind == "arrays":
        return array
    # Other chunks than those of the prediction.
    return array.tolist() if kind == "lists" else da.from_array(array, chunks=(13, 2)[: array.ndim])


def assert_close(found, exact, dtype):
    assert np.shape(found) == np.shape(exact)
    size = float(np.max(np.abs(exact), initial=1e-3))
    np.testing.assert_allclose(found, exact, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps * size)


# ---------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@reductions
def test_same_as_whole(few_setup, way, reduction):
    chunks, kind, weighted, dtype = way
    z, t = few_setup.draw((N_ROWS, N_CLASSES), dtype)
    loss = few_setup.build(N_CLASSES)
    w = {
        "plain": None,
        "weighted": draw_weight(N_ROWS if few_setup.case.rowwise else z.shape),
        "one number": 2.5,
    }[weighted]
    options = {"reduction": reduction, "sample_weight": w}
    given = {"reduction": reduction, "sample_weight": as_given(w, kind)}
    prediction, target = da.from_array(z, chunks=chunks), as_given(t, kind)

    value, gradient, hessian = loss.value_gradient_and_hessian(z, t, **options)
    results = (
        lazy.value(loss, prediction, target, **given),
        *lazy.value_and_gradient(loss, prediction, target, **given),
        *lazy.gradient_and_hessian(loss, prediction, target, **given),
    )
    exact = (value, value, gradient, gradient, hessian)
    for found, result, theirs in zip(dask.compute(*results), results, exact, strict=True):
        assert isinstance(result, da.Array)
        assert result.shape == np.shape(theirs)
        assert result.dtype == found.dtype == (np.float64 if np.ndim(theirs) == 0 else dtype)
        assert_close(found, theirs, dtype)


def test_mean_is_not_that_of_means():
    prediction = da.from_array(np.array([1.0, 2.0, 10.0]), chunks=2)
    assert lazy.value(fl.SquaredError(), prediction, 0.0).compute() == 35.0


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
@reductions
def test_classes_along_any_axis(axis, reduction):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(6, 7, 5))
    t = rng.integers(0, z.shape[axis], np.delete(z.shape, axis))
    w = rng.uniform(size=t.shape)
    loss = fl.CrossEntropy(ignore_index=2)
    options = {"axis": axis, "reduction": reduction, "sample_weight": w}
    exact = loss.value_and_gradient(z, t, **options)
    prediction = da.from_array(z, chunks=(4, 3, 2))
    for found, theirs in zip(
        dask.compute(*lazy.value_and_gradient(loss, prediction, t, **options)), exact, strict=True
    ):
        assert_close(found, theirs, np.float64)
    assert_close(lazy.value(loss, prediction, t, **options).compute(), exact[0], np.float64)


@pytest.mark.parametrize("shape", [(), (4,), (60, 1), (1, 4), (1, 1)], ids=str)
@reductions
def test_targets_and_weights_broadcast(shape, reduction):
    rng = np.random.default_rng(0)
    z, t, w = rng.normal(size=(60, 4)), rng.normal(size=shape), rng.uniform(size=shape)
    options = {"reduction": reduction, "sample_weight": w}
    prediction = da.from_array(z, chunks=(17, 3))
    exact = fl.Huber().value_and_gradient(z, t, **options)
    found = dask.compute(*lazy.value_and_gradient(fl.Huber(), prediction, t, **options))
    for ours, theirs in zip(found, exact, strict=True):
        assert_close(ours, theirs, np.float64)


@pytest.mark.parametrize("shape", [(), (4,), (60, 1)], ids=str)
def test_pos_weight(shape):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(60, 4)), rng.integers(0, 2, (60, 4))
    loss = fl.BinaryCrossEntropy(pos_weight=rng.uniform(1, 3, shape) if shape else 2.0)
    found = dask.compute(*lazy.value_and_gradient(loss, da.from_array(z, chunks=(17, 3)), t))
    for ours, theirs in zip(found, loss.value_and_gradient(z, t), strict=True):
        assert_close(ours, theirs, np.float64)


@pytest.mark.parametrize("curvature", ["exact", "psd", "majorize"])
def test_curvature(curvature):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(60, 4)), rng.integers(0, 4, 60)
    prediction = da.from_array(z, chunks=(17, 3))
    found = dask.compute(*lazy.gradient_and_hessian(fl.Focal(), prediction, t, curvature=curvature))
    for ours, theirs in zip(found, fl.Focal().gradient_and_hessian(z, t, curvature=curvature), strict=True):
        assert_close(ours, theirs, np.float64)


def test_half_precision(half):
    """Weights whose sum float16 cannot hold."""
    rng = np.random.default_rng(0)
    z, t, w = rng.normal(size=(60, 4)).astype(half), rng.integers(0, 4, 60), np.full(60, 1e5)
    prediction = da.from_array(z, chunks=17)
    exact = fl.CrossEntropy().value_and_gradient(z, t, sample_weight=w)
    value, gradient = dask.compute(*lazy.value_and_gradient(fl.CrossEntropy(), prediction, t, sample_weight=w))
    assert gradient.dtype == half
    assert value == pytest.approx(exact[0])
    np.testing.assert_allclose(gradient.astype(float), exact[1].astype(float), rtol=2.0**-7)


def test_integers_are_read_as_float64():
    prediction = da.from_array(np.array([1, 2, 3]), chunks=2)
    value, gradient = dask.compute(*lazy.value_and_gradient(fl.SquaredError(), prediction, [1, 1, 1]))
    assert value == pytest.approx(5 / 3)
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, [0, 2 / 3, 4 / 3])


@pytest.mark.parametrize("reason", ["no rows", "sample weight", "ignored", "class weight"])
def test_mean_of_nothing(reason):
    z, t = np.zeros((0 if reason == "no rows" else 6, 3)), np.ones(0 if reason == "no rows" else 6, int)
    loss = {"ignored": fl.CrossEntropy(ignore_index=1), "class weight": fl.CrossEntropy([1, 0, 1])}.get(
        reason, fl.CrossEntropy()
    )
    w = np.zeros(6) if reason == "sample weight" else None
    results = lazy.value_and_gradient(loss, da.from_array(z, chunks=4), t, sample_weight=w)
    with pytest.warns(RuntimeWarning, match="mean of nothing"):
        value, gradient = dask.compute(*results, scheduler="sync")
    assert np.isnan(value)
    np.testing.assert_array_equal(gradient, np.zeros_like(z))
    total = lazy.value(loss, da.from_array(z, chunks=4), t, sample_weight=w, reduction="sum")
    assert total.compute() == 0.0


# --------------------------------------------------------------------------------------------------- laziness


def test_nothing_is_computed_before_its_time():
    def refuse(block):
        raise AssertionError("computed")

    z = da.zeros((60, 4), chunks=17).map_blocks(refuse, meta=np.empty((0, 0)))
    for result in (
        lazy.value(fl.CrossEntropy(ignore_index=1), z, da.zeros(60, dtype=int, chunks=9)),
        *lazy.value_and_gradient(fl.Huber(), z, z, sample_weight=z),
        *lazy.gradient_and_hessian(fl.Huber(), z, z),
    ):
        with pytest.raises(AssertionError, match="computed"):
            result.compute()


def test_value_and_gradient_share_a_pass(monkeypatch):
    """Each chunk is computed once."""
    calls = []
    evaluate = lazy._sum_and_gradient

    def counted(*arguments):
        calls.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr(lazy, "_sum_and_gradient", counted)
    z = da.from_array(np.zeros((60, 4)), chunks=(20, 4))
    loss = fl.CrossEntropy(class_weight=[1, 2, 3, 4])
    dask.compute(*lazy.value_and_gradient(loss, z, np.zeros(60, int)), scheduler="sync")
    assert len(calls) == 3


def test_rows_of_a_gradient_need_their_chunks_only():
    z = da.from_array(np.zeros((60, 4)), chunks=(20, 4))
    seen = []
    z = z.map_blocks(lambda block: seen.append(len(block)) or block, meta=np.empty((0, 0)))
    _, gradient = lazy.value_and_gradient(fl.CrossEntropy(), z, np.zeros(60, int), reduction="mean")
    gradient[:10].compute(scheduler="sync")
    assert seen == [20]


def test_in_other_processes():
    """Losses and tasks travel; the sum of weights is that of all workers."""
    distributed = pytest.importorskip("distributed")
    rng = np.random.default_rng(0)
    z, t, w = rng.normal(size=(60, 4)), rng.integers(0, 4, 60), rng.uniform(size=60)
    loss = fl.CrossEntropy(class_weight=[1, 2, 3, 4], label_smoothing=0.1)
    prediction = da.from_array(z, chunks=(17, 4))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        results = lazy.value_and_gradient(loss, prediction, t, sample_weight=w)
        value, gradient = client.gather(client.compute(list(results)))
    exact = loss.value_and_gradient(z, t, sample_weight=w)
    assert_close(value, exact[0], np.float64)
    assert_close(gradient, exact[1], np.float64)


# ----------------------------------------------------------------------------------------------------- errors

Z = da.zeros((6, 4), chunks=(4, 2))
UNKNOWN = da.from_array(np.arange(6.0), chunks=3)
UNKNOWN = UNKNOWN[UNKNOWN > 1]
BAD = {
    "sets": (TypeError, "^dice is a loss of sets", (fl.Dice(), Z, Z), {}),
    "no loss": (TypeError, "^loss must be a loss object", ("huber", Z, Z), {}),
    "array": (TypeError, "^prediction must be a dask.array.Array, not ndarray", (fl.Huber(), np.zeros(3), 0.0), {}),
    "unknown sizes": (ValueError, "^prediction has chunks of unknown sizes", (fl.Huber(), UNKNOWN, 0.0), {}),
    "complex": (TypeError, "^prediction has dtype complex128", (fl.Huber(), Z.astype(complex), Z), {}),
    "axis": (TypeError, "takes no axis", (fl.Huber(), Z, Z), {"axis": 0}),
    "axis too large": (ValueError, "axis 2 does not exist", (fl.CrossEntropy(), Z, [0] * 6), {"axis": 2}),
    "reduction": (ValueError, "^reduction must be", (fl.Huber(), Z, Z), {"reduction": "average"}),
    "shape of targets": (ValueError, "^target of shape", (fl.Huber(), Z, np.zeros(6)), {}),
    "rows of targets": (ValueError, "^target must hold one class index per row", (fl.CrossEntropy(), Z, [0] * 5), {}),
    "weights": (ValueError, "^sample_weight must hold one", (fl.CrossEntropy(), Z, [0] * 6), {"sample_weight": [1.0]}),
    "class weights": (ValueError, "^class_weight holds 2 numbers", (fl.CrossEntropy([1, 2]), Z, [0] * 6), {}),
    "probabilities": (ValueError, "^ignore_index needs class indices", (fl.CrossEntropy(ignore_index=0), Z, Z), {}),
}


@pytest.mark.parametrize("function", [lazy.value, lazy.value_and_gradient, lazy.gradient_and_hessian])
@pytest.mark.parametrize(("kind", "message", "arguments", "options"), BAD.values(), ids=BAD.keys())
def test_bad_arguments(function, kind, message, arguments, options):
    """At once, before anything is computed."""
    with pytest.raises(kind, match=message):
        function(*arguments, **options)


def test_bad_curvature():
    with pytest.raises(ValueError, match=r"^curvature must be"):
        lazy.gradient_and_hessian(fl.Huber(), Z, Z, curvature="none")


@pytest.mark.parametrize("loss", [fl.CrossEntropy(), fl.CrossEntropy(class_weight=[1, 2, 3, 4], ignore_index=-1)])
def test_bad_elements_name_their_chunk(loss):
    value = lazy.value(loss, Z, [0, 1, 2, 3, 0, 7])
    with pytest.raises(
        ValueError, match=r"^in the chunk that starts at \(4, 0\): target\[1\] = 7 is not a class index"
    ):
        value.compute()


def test_bad_weights_name_their_chunk():
    w = np.ones((6, 4))
    w[1, 3] = -1
    value = lazy.value(fl.Huber(), Z, Z, sample_weight=w)
    with pytest.raises(ValueError, match=r"^in the chunk that starts at \(0, 2\): sample_weight\[1, 1\] = -1"):
        value.compute()


@pytest.mark.parametrize("argument", ["prediction", "target", "sample_weight"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "only in the chunks"])
@pytest.mark.parametrize("loss", [fl.Huber(), fl.CrossEntropy()], ids=repr)
def test_masks_are_refused(argument, known, loss):
    """At once where Dask knows of them, else when the chunks are there; never read as if nothing were masked."""
    shape = (6,) if isinstance(loss, fl.CrossEntropy) and argument != "prediction" else (6, 4)
    masked = da.ma.masked_greater(da.from_array(np.indices(shape)[0], chunks=2) / 5.0, 0.9)
    if not known:
        masked = masked.map_blocks(lambda block: block, meta=np.empty((0,) * len(shape)))
    t = np.zeros(6, int) if isinstance(loss, fl.CrossEntropy) else Z
    arguments = {"prediction": Z, "target": t, "sample_weight": None, argument: masked}
    with pytest.raises(TypeError, match=f"{argument} is a masked array; give what is masked a sample_weight of 0"):
        lazy.value(loss, **arguments).compute()
    if known:
        with pytest.raises(TypeError, match=f"{argument} is a masked array"):
            lazy.value_and_gradient(loss, **arguments)


@pytest.mark.parametrize("name", ["dask", "torch"])
def test_missing_library_is_named(name, tmp_path):
    code = (
        f"import sys; sys.modules[{name!r}] = None\n"
        f"try:\n import fastloss.{name}\nexcept ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f'pip install "fastloss[{name}]"' in done.stdout


def test_package_does_not_import_dask(tmp_path):
    code = "import sys, fastloss; print('dask' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
