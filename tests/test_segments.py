"""Rows that belong together: Cox, accelerated failure times, groups; against twins, differences and mpmath."""

import copy
import pickle

import mpmath
import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

N_LARGE = 40_000  # several blocks


def survival(rng, n, spread=1.0, ties=3):
    """Scores, targets with ties, weights with zeros, strata."""
    times = rng.integers(1, max(2, n // ties), n) * rng.choice([-1.0, 1.0], n)
    return rng.normal(scale=spread, size=n), times, rng.choice([0.0, 1.0, 2.5], n), rng.integers(0, 3, n)


def close(found, exact, scale, tolerance=1e-13):
    assert np.max(np.abs(np.asarray(found) - exact) / scale, initial=0.0) < tolerance


LOSSES = [
    pytest.param(fl.CoxPH(), id="efron"),
    pytest.param(fl.CoxPH("breslow"), id="breslow"),
    pytest.param(fl.AFT(), id="normal"),
    pytest.param(fl.AFT("logistic", 0.5), id="logistic"),
    pytest.param(fl.AFT("extreme", 2.0), id="extreme"),
    pytest.param(fl.AFT("normal", None), id="normal2"),
    pytest.param(fl.AFT("logistic", None), id="logistic2"),
    pytest.param(fl.AFT("extreme", None), id="extreme2"),
    pytest.param(fl.GroupSoftmax(), id="softmax"),
    pytest.param(fl.PairwiseLogistic(), id="pairwise"),
]
every_loss = pytest.mark.parametrize("loss", LOSSES)


def problem(loss, n, seed=0, spread=1.0):
    """Prediction, target and what says which rows belong together."""
    rng = np.random.default_rng(seed)
    z, times, weight, strata = survival(rng, n, spread)
    if loss.name == "cox_ph":
        return z, times, weight, {"strata": strata}
    if loss.name == "aft":
        times = rng.exponential(size=n) + 1e-3
        bounds = np.stack([times, times], axis=1)
        kind = rng.integers(0, 4, n)
        bounds[kind == 1, 1] = np.inf
        bounds[kind == 2, 0] = 0
        bounds[kind == 3, 1] *= 1.5
        return (np.stack([z, z[::-1] / 5], axis=1) if loss.scale is None else z), bounds, weight, {}
    sizes = []
    while sum(sizes) < n:
        sizes.append(min(int(rng.integers(1, 9)), n - sum(sizes)))
    return z, rng.integers(0, 3, n).astype(float), weight, {"group": sizes}


def twin(loss, z, target, weight, belongs):
    """Weighted value, gradient and Hessian."""
    if loss.name == "aft":
        value, gradient, hessian = reference.aft(z, target, **loss.parameters)
        w = weight[:, None] if z.ndim == 2 else weight
        return value * weight, gradient * w, hessian * w
    wide = np.asarray(z, np.longdouble)
    return getattr(reference, loss.name)(wide, target, sample_weight=weight, **belongs, **loss.parameters)


@every_loss
@pytest.mark.parametrize("n", [1, 2, 3, 17, 150])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_those_of_the_twin(loss, n, weighted):
    for seed in range(4):
        z, target, weight, belongs = problem(loss, n, seed)
        weight = weight if weighted and weight.any() else np.ones(n)
        value, gradient, hessian = twin(loss, z, target, weight, belongs)
        found = loss.value_gradient_and_hessian(z, target, sample_weight=weight, reduction="sum", **belongs)
        tolerance = 1e-7 if loss.name == "aft" else 1e-13  # the twin of a tail has no more
        close(found[0], value.sum(), 1 + abs(value).sum(), tolerance)
        close(found[1], gradient, 1 + np.abs(gradient), tolerance)
        close(found[2], hessian, 1 + np.abs(hessian), tolerance)
        each = loss(z, target, sample_weight=weight, reduction="none", **belongs)
        close(each, value, 1 + np.abs(value), tolerance)
        assert loss(z, target, sample_weight=weight, reduction="sum", **belongs) == found[0]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("spread", [0.1, 5.0, 300.0])
def test_cox_in_many_blocks(ties, spread):
    """Against sums over all rows, without the blocks; a stratum of one row, one of nothing censored, a large one."""
    rng = np.random.default_rng(1)
    n = N_LARGE
    z, times, weight, _ = survival(rng, n, spread, ties=10)
    strata = np.where(np.arange(n) < 3, np.arange(n), np.where(rng.random(n) < 0.2, 7, 9))
    prepared = fl.CoxPH(ties).prepare(times, weight, strata=strata)
    value, gradient, hessian = prepared.value_gradient_and_hessian(z, reduction="sum")
    expected = [0.0, np.zeros(n), np.zeros(n)]
    for one in np.unique(strata):
        rows = np.flatnonzero((strata == one) & (weight > 0))
        parts = fl.CoxPH(ties).value_gradient_and_hessian(
            z[rows], times[rows], sample_weight=weight[rows], reduction="sum"
        )
        expected[0] += parts[0]
        expected[1][rows], expected[2][rows] = parts[1:]
    close(value, expected[0], abs(expected[0]), 1e-12)
    close(gradient, expected[1], 1 + abs(gradient), 1e-12 * max(1, spread))
    close(hessian, expected[2], 1 + abs(hessian), 1e-12 * max(1, spread))
    # Of one stratum, by prefix sums of all of it at once.
    rows = np.flatnonzero((strata == 9) & (weight > 0))
    slow = slow_cox(z[rows], times[rows], weight[rows], ties)
    close(gradient[rows], slow, 1 + abs(gradient[rows]), 1e-10)


def slow_cox(z, times, w, ties):
    order = np.lexsort((times < 0, -np.abs(times)))
    z, times, w = z[order].astype(np.longdouble), times[order], w[order]
    log_risk = np.logaddexp.accumulate(z + np.log(w))
    gradient = np.where(times > 0, -w, 0).astype(np.longdouble)
    ends = np.flatnonzero(np.append(np.abs(times[1:]) != np.abs(times[:-1]), True))
    log_a = np.full(len(z), -np.inf, np.longdouble)
    start = 0
    minus_b = np.zeros(len(z), np.longdouble)
    for end in ends:
        event = np.arange(start, end + 1)[times[start : end + 1] > 0]
        d = len(event) if ties == "efron" else min(1, len(event))
        parts = []
        for k in range(d):
            log_d = np.logaddexp.reduce(z[event] + np.log(w[event]))
            others = [log_risk[start - 1]] if start else []
            others += list((z + np.log(w))[start : end + 1][times[start : end + 1] < 0])
            log_r = np.logaddexp.reduce(np.array([*others, log_d + np.log1p(np.longdouble(-k) / d)]))
            parts.append(np.log(w[event].sum() / np.longdouble(d)) - log_r)
            minus_b[event] += np.longdouble(k) / d * np.exp(z[event] + np.log(w[event]) + parts[-1])
        if parts:
            log_a[end] = np.logaddexp.reduce(np.array(parts))
        start = end + 1
    log_a = np.logaddexp.accumulate(log_a[::-1])[::-1]
    out = np.empty(len(z), np.longdouble)
    out[order] = gradient + np.exp(z + np.log(w) + log_a) - minus_b
    return out


@every_loss
def test_gradient_is_that_of_the_value(loss):
    z, target, weight, belongs = problem(loss, 40, 3)
    prepared = loss.prepare(target, weight, **belongs)
    gradient, hessian = prepared.gradient_and_hessian(z)
    for i in np.ndindex(*z.shape):
        step = np.zeros(z.shape)
        step[i] = 1e-3
        ahead, behind = (prepared(z + k * step) for k in (1, -1))
        wide = (prepared(z + 2 * step) - prepared(z - 2 * step)) / 4e-3
        assert (4 * (ahead - behind) / 2e-3 - wide) / 3 == pytest.approx(gradient[i], abs=1e-10)
        ahead, behind = (prepared.gradient(z + k * step)[i] for k in (1, -1))
        wide = (prepared.gradient(z + 2 * step)[i] - prepared.gradient(z - 2 * step)[i]) / 4e-3
        assert (4 * (ahead - behind) / 2e-3 - wide) / 3 == pytest.approx(hessian[i], abs=1e-9)


@every_loss
def test_same_bits_on_any_number_of_threads(loss):
    z, target, weight, belongs = problem(loss, N_LARGE * 3, 4)
    prepared = loss.prepare(target, weight, **belongs)
    results = []
    for threads in (1, 2, 3):
        with fl.num_threads(threads):
            value, gradient, hessian = prepared.value_gradient_and_hessian(z)
        results.append((value, gradient.tobytes(), hessian.tobytes()))
    assert results[0] == results[1] == results[2]


@every_loss
def test_float32_and_halves(loss):
    z, target, weight, belongs = problem(loss, 60, 5)
    prepared = loss.prepare(target, weight, **belongs)
    for dtype in (np.float32, np.float16):
        narrow = z.astype(dtype)
        exact = prepared.value_gradient_and_hessian(narrow.astype(np.float64))
        value, gradient, hessian = prepared.value_gradient_and_hessian(narrow)
        assert gradient.dtype == hessian.dtype == dtype
        assert value == exact[0]
        assert np.array_equal(gradient, exact[1].astype(np.float32).astype(dtype))
        assert prepared(narrow, reduction="none").dtype == dtype


@every_loss
def test_prepared_is_the_call(loss):
    z, target, weight, belongs = problem(loss, 50, 6)
    prepared = loss.prepare(target, sample_weight=weight, **belongs)
    for reduction in fl._call.REDUCTIONS:
        given = {"sample_weight": weight, "reduction": reduction, **belongs}
        assert np.array_equal(prepared(z, reduction=reduction), loss(z, target, **given))
        function = getattr(fl, loss.name)
        assert np.array_equal(function(z, target, **given, **loss.parameters), loss(z, target, **given))
        assert np.array_equal(prepared.gradient(z, reduction=reduction), loss.gradient(z, target, **given))
        for curvature in loss.curvatures:
            found = prepared.gradient_and_hessian(z, reduction=reduction, curvature=curvature)
            expected = loss.gradient_and_hessian(z, target, curvature=curvature, **given)
            assert np.array_equal(found, expected)
    total = prepared.total_weight
    assert prepared(z) == pytest.approx(prepared(z, reduction="sum") / total)
    assert prepared(z, reduction="none").sum() == pytest.approx(prepared(z, reduction="sum"))
    again = pickle.loads(pickle.dumps(prepared))
    assert again(z) == prepared(z)
    assert copy.deepcopy(loss) == loss == pickle.loads(pickle.dumps(loss))
    assert eval(repr(loss), {"CoxPH": fl.CoxPH, "AFT": fl.AFT, "GroupSoftmax": fl.GroupSoftmax,
                             "PairwiseLogistic": fl.PairwiseLogistic}) == loss  # fmt: skip


@every_loss
def test_outputs_of_the_caller(loss):
    z, target, weight, belongs = problem(loss, 50, 7)
    prepared = loss.prepare(target, weight, **belongs)
    gradient, hessian = prepared.gradient_and_hessian(z)
    room = np.full((2, *(2 * size for size in z.shape)), np.nan)
    views = [each[tuple(slice(None, None, 2) for _ in z.shape)] for each in room]
    found = prepared.gradient_and_hessian(z, gradient_out=views[0], hessian_out=views[1])
    assert found[0] is views[0]
    assert np.array_equal(views[0], gradient)
    assert np.array_equal(views[1], hessian)
    inside = z.copy()
    assert prepared.gradient(inside, gradient_out=inside) is inside
    assert np.array_equal(inside, gradient)
    shifted = np.zeros(z.size + 8)
    here, there = shifted[:-8].reshape(z.shape), shifted[8:].reshape(z.shape)
    here[...] = z
    assert np.array_equal(prepared.gradient(here, gradient_out=there), gradient)
    with pytest.raises(ValueError, match="overlap"):
        prepared.gradient_and_hessian(z, gradient_out=inside, hessian_out=inside)


@every_loss
def test_rows_of_weight_0_count_nowhere(loss):
    z, target, weight, belongs = problem(loss, 60, 8)
    assert (weight == 0).any()
    expected = loss.value_gradient_and_hessian(z, target, sample_weight=weight, **belongs)
    z, target = z.copy(), target.copy()
    z[weight == 0], target[weight == 0] = np.nan, np.nan
    found = loss.value_gradient_and_hessian(z, target, sample_weight=weight, **belongs)
    assert found[0] == expected[0]
    assert np.array_equal(found[1], expected[1])
    assert not found[1][weight == 0].any()
    assert not found[2][weight == 0].any()
    doubled = loss.value_gradient_and_hessian(z, target, sample_weight=2 * weight, reduction="sum", **belongs)
    single = loss.value_gradient_and_hessian(z, target, sample_weight=weight, reduction="sum", **belongs)
    factor = 4 if loss.name == "cox_ph" else 2
    if factor == 2:
        assert doubled[0] == pytest.approx(2 * single[0])
    assert doubled[1] == pytest.approx(2 * single[1])


@every_loss
def test_nothing_counts(loss):
    z, target, weight, belongs = problem(loss, 6, 9)
    with pytest.warns(RuntimeWarning, match="mean of nothing"):
        assert np.isnan(loss(z, target, sample_weight=0.0 * weight, **belongs))
    value, gradient = loss.value_and_gradient(z, target, sample_weight=0 * weight, reduction="sum", **belongs)
    assert value == 0
    assert not gradient.any()
    empty = {} if loss.name != "cox_ph" and not belongs else {"strata": []} if "strata" in belongs else {"group": []}
    assert loss(z[:0], target[:0], reduction="sum", **empty) == 0


@every_loss
@pytest.mark.parametrize("curvature", ["psd", "majorize"])
@pytest.mark.parametrize("spread", [0.5, 30.0])
def test_curvatures(loss, curvature, spread):
    z, target, weight, belongs = problem(loss, 200, 10, spread)
    if loss.name == "aft":
        z = np.clip(z, -20, 20)
    prepared = loss.prepare(target, weight, **belongs)
    gradient, exact = prepared.gradient_and_hessian(z, reduction="sum")
    _, hessian = prepared.gradient_and_hessian(z, reduction="sum", curvature=curvature)
    assert (hessian >= 0).all()
    assert (hessian[gradient != 0] > 0).all()
    column = (slice(None), 0) if z.ndim == 2 else slice(None)
    if curvature == "psd":
        assert hessian[column] == pytest.approx(exact[column], rel=1e-9, abs=1e-9)
        return
    finite = np.isfinite(exact) & np.isfinite(gradient)
    assert (hessian[finite] >= exact[finite] - 1e-9 * (1 + abs(exact[finite]))).all()
    if loss.name == "aft":
        before = prepared(z, reduction="none")
        some = finite & (hessian > 0)
        step = -np.divide(gradient, hessian, where=some, out=np.zeros_like(gradient))
        moved = z.copy()
        moved[column] += step[column]
        after = prepared(moved, reduction="none")
        some = np.isfinite(before)
        assert (after[some] <= before[some] + 1e-9 * (1 + abs(before[some]))).all()
    else:
        step = np.where(hessian > 0, -gradient / np.where(hessian > 0, hessian, 1), 0)
        assert prepared(z + step, reduction="sum") <= prepared(z, reduction="sum") * (1 + 1e-12)


# --------------------------------------------------------------------------------------------------------- Cox


def test_scores_of_any_size():
    """The partial likelihood depends on differences within a risk set alone."""
    times = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    for z in ([700.0, -700.0, 0.0, 700.0, -700.0], [-700.0, -600.0, 0.0, 600.0, 700.0], [700.0, 600, 0, -600, -700]):
        value, gradient, hessian = fl.CoxPH().value_gradient_and_hessian(z, times, reduction="sum")
        exact = reference.cox_ph(np.array(z, np.longdouble), times)
        close(value, exact[0].sum(), 1 + abs(value))
        close(gradient, exact[1], 1.0)
        close(hessian, exact[2], 1.0)
    assert np.isnan(fl.CoxPH().gradient([0.0, np.nan], [1.0, 2.0])).any()
    # A row that is certain not to have the event is none that is at risk.
    gradient = fl.CoxPH().gradient([0.0, -np.inf, 1.0], [1.0, -2.0, 3.0], reduction="sum")
    assert gradient[1] == 0
    assert gradient[[0, 2]] == pytest.approx(fl.CoxPH().gradient([0.0, 1.0], [1.0, 3.0], reduction="sum"))


@pytest.mark.parametrize("loss", [fl.CoxPH(), fl.CoxPH("breslow"), fl.GroupSoftmax()], ids=str)
@pytest.mark.parametrize("spread", [1.0, 200.0])
def test_product_of_the_whole_hessian(loss, spread):
    z, target, weight, belongs = problem(loss, 60, 11, spread)
    prepared = loss.prepare(target, weight, **belongs)
    rng = np.random.default_rng(0)
    columns = [prepared.hessian_vector_product(z, one, reduction="sum") for one in np.eye(60)]
    _, diagonal = prepared.gradient_and_hessian(z, reduction="sum")
    close(np.diag(columns), diagonal, 1 + diagonal, 1e-11)
    close(np.array(columns), np.array(columns).T, 1.0, 1e-11)
    v = rng.normal(size=60)
    close(prepared.hessian_vector_product(z, v, reduction="sum"), v @ columns, 1 + np.abs(v @ columns), 1e-11)
    close(prepared.hessian_vector_product(z, np.ones(60)), 0, 1.0, 1e-11)
    if spread == 1:
        step = 1e-4 * v
        slope = (prepared.gradient(z + step) - prepared.gradient(z - step)) / 2e-4
        close(prepared.hessian_vector_product(z, v), slope, 1.0, 1e-7)
    with pytest.raises(NotImplementedError):
        fl.PairwiseLogistic().prepare([1.0, 0.0], group=[2]).hessian_vector_product([0.0, 0.0], [1.0, 1.0])


def test_one_event_and_none():
    assert fl.cox_ph([3.0], [1.0], reduction="sum") == 0
    assert fl.cox_ph([3.0, 1.0], [-1.0, -2.0]) == 0
    gradient, hessian = fl.CoxPH().gradient_and_hessian([3.0, 1.0], [-1.0, -2.0])
    assert not gradient.any()
    assert not hessian.any()
    # Strata of one row each: there is nothing to compare.
    gradient, hessian = fl.CoxPH().gradient_and_hessian([700.0, -700.0], [1.0, 2.0], strata=["a", "b"])
    assert not gradient.any()
    assert not hessian.any()


def test_all_at_one_time():
    z = np.random.default_rng(0).normal(size=300)
    for ties in ("efron", "breslow"):
        value, gradient, hessian = fl.CoxPH(ties).value_gradient_and_hessian(z, np.ones(300), reduction="sum")
        exact = reference.cox_ph(z.astype(np.longdouble), np.ones(300), ties)
        close(value, exact[0].sum(), value)
        close(gradient, exact[1], 1.0)
        close(hessian, exact[2], 1.0)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_ties_of_many_among_single_times(ties):
    """Logarithms are taken 256 at once: of times with fewer events, as many and more, next to each other."""
    rng = np.random.default_rng(2)
    times = np.concatenate([np.arange(1.0, 301.0), np.full(257, 300.5), np.full(256, 301.0), np.arange(302.0, 560.0)])
    times = rng.permutation(np.where(rng.random(len(times)) < 0.9, times, -times))
    z, weight = rng.normal(size=(2, len(times)))
    weight = weight**2
    loss = fl.CoxPH(ties)
    found = loss.value_gradient_and_hessian(z, times, sample_weight=weight, reduction="none")
    for one, exact in zip(found, reference.cox_ph(z, times, ties, weight), strict=True):
        close(one, exact, 1 + abs(exact), 1e-11)
    alone = loss.gradient_and_hessian(z, times, sample_weight=weight, reduction="none")
    assert all(np.array_equal(x, y) for x, y in zip(alone, found[1:], strict=True))
    total = loss(z, times, sample_weight=weight, reduction="sum")
    close(total, found[0].sum(), total, 1e-12)


def test_derivatives_alone_where_a_tie_follows_many_single_times():
    """No logarithm is taken, and none that waits is looked for: in a thread, beyond the end of its stack."""
    one = np.concatenate([np.arange(1.0, 8000.0), np.full(300, 9000.0)])
    times = np.concatenate([one + 1e5 * k for k in range(24)])
    z = np.random.default_rng(0).normal(size=len(times))
    loss = fl.CoxPH()
    with fl.num_threads(2):
        alone = loss.gradient(z, times)
        assert np.array_equal(alone, loss.value_and_gradient(z, times)[1])


def test_baseline_hazard():
    z, times, weight, strata = survival(np.random.default_rng(3), 200)
    at, hazard = fl.CoxPH().baseline_hazard(z, times, sample_weight=weight)
    jumps = []
    for time in at:
        counted = (np.abs(times) >= time) & (weight > 0)
        jumps.append(weight[times == time].sum() / np.sum(weight[counted] * np.exp(z[counted])))
    assert hazard == pytest.approx(np.cumsum(jumps))
    assert np.array_equal(at, np.unique(times[(times > 0) & (weight > 0)]))
    by_stratum = fl.CoxPH().baseline_hazard(z, times, sample_weight=weight, strata=strata)
    rows = strata == 1
    alone = fl.CoxPH().baseline_hazard(z[rows], times[rows], sample_weight=weight[rows])
    assert np.array_equal(by_stratum[1][1], alone[1])
    assert len(fl.CoxPH().baseline_hazard([], [])[0]) == 0


def test_targets():
    time, event = [5.0, 3.0, 8.0], [True, False, True]
    target = fl.survival_target(time, event)
    assert target.tolist() == [5.0, -3.0, 8.0]
    assert np.array_equal(fl.survival_target(time, [1, 0, 1]), target)
    assert np.array_equal(fl.survival_target(time, np.array(event, object)), target)
    structured = np.array(list(zip(event, time, strict=True)), dtype=[("status", bool), ("days", float)])
    z = [0.3, -0.2, 0.1]
    for loss in (fl.CoxPH(), fl.AFT()):
        assert loss(z, structured) == loss(z, target)
    assert fl.concordance_index(structured, z) == fl.concordance_index(target, z)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"time": time, "event": event, "stratum": ["a", "b", "a"]})
    assert np.array_equal(fl.survival_target(frame["time"], frame["event"]), target)
    found = fl.cox_ph(z, fl.survival_target(frame["time"], frame["event"]), strata=frame["stratum"])
    assert found == fl.cox_ph(z, target, strata=[0, 1, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fl.survival_target([1.0, 0.0], [True, True]), r"time\[1\] = 0\.0 must be finite and > 0"),
        (lambda: fl.survival_target([1.0, -2.0], [True, True]), r"time\[1\] = -2\.0"),
        (lambda: fl.survival_target([1.0, 2.0], [2, 1]), r"event\[0\] = 2 must be a boolean"),
        (lambda: fl.survival_target([1.0, 2.0], [True]), r"event must hold one element per row, shape \(2,\)"),
        (lambda: fl.cox_ph([0.0, 0.0], [1.0, 0.0]), r"target\[1\] = 0\.0 must be a finite time > 0, or minus"),
        (lambda: fl.cox_ph([0.0, 0.0], [np.nan, 1.0]), r"target\[0\] = nan"),
        (lambda: fl.cox_ph([0.0], [1.0, 2.0]), r"prediction must have shape \(2,\)"),
        (lambda: fl.cox_ph([0.0], [1.0], strata=[1, 2]), r"strata must hold one element per row"),
        (lambda: fl.survival_target([1.0, 2.0], [True, None]), r"event\[1\] = None is missing"),
        (lambda: fl.cox_ph([0.0] * 2, [[1.0, 1.0], [2.0, 0.0]]), r"got shape \(2, 2\)\. fastloss\.survival_target"),
        (lambda: fl.cox_ph([0.0] * 2, [1.0, 2.0], strata=["a", None]), r"strata\[1\] = None is missing"),
        (lambda: fl.cox_ph([0.0] * 2, [1.0, 2.0], strata=[1.0, np.nan]), r"strata\[1\] = nan is missing"),
        (lambda: fl.group_softmax([0.0] * 2, [1, 0], group=[np.nan] * 2), r"group\[0\] = nan is missing"),
        (lambda: fl.AFT().survival_function([0.0], [1.0, -1.0]), r"times\[1\] = -1\.0 must be >= 0"),
        (lambda: fl.cox_ph([0.0], [1.0], sample_weight=[-1.0]), r"sample_weight\[0\] = -1\.0 must be finite"),
        (lambda: fl.cox_ph([0.0], [1.0], ties="exact"), "ties must be 'efron' or 'breslow', got 'exact'"),
        (lambda: fl.aft([0.0], [[2.0, 1.0]]), r"target\[0\] = \[2\.0, 1\.0\] must hold bounds"),
        (lambda: fl.aft([0.0], [1.0], distribution="cauchy"), "distribution must be 'normal', 'logistic' or 'extreme'"),
        (lambda: fl.aft([0.0], [1.0], scale=0.0), "scale must be"),
        (lambda: fl.aft([0.0], [1.0], scale=None), r"prediction must have shape \(1, 2\)"),
        (lambda: fl.group_softmax([0.0, 0.0], [1, 0], group=[1, 2]), r"group\[1\]|group adds up to 3 rows"),
        (lambda: fl.group_softmax([0.0] * 3, [1, 0, 0], group=[1, 1]), "group adds up to 2 rows, but the target has 3"),
        (lambda: fl.group_softmax([0.0] * 3, [1, 0, 0], group=[4, -1]), r"group\[1\] = -1 is no size"),
        (lambda: fl.group_softmax([0.0] * 3, [1, 0, 0], group=["a", "b", "a"]), r"group\[2\] = 'a' was the id of"),
        (lambda: fl.group_softmax([0.0] * 2, [1, -1], group=[2]), r"target\[1\] = -1\.0 must be finite and >= 0"),
        (lambda: fl.pairwise_logistic([0.0] * 2, [1, np.inf], group=[2]), r"target\[1\] = inf must be finite"),
        (lambda: fl.concordance_index([1.0, 2.0], [np.nan, 1.0]), r"risk\[0\] = nan"),
    ],
)
def test_errors_name_the_place(call, message):
    if "group\\[1\\]|" in message:  # as many numbers as rows are ids
        assert call() == 0
        return
    with pytest.raises(ValueError, match=message):
        call()


def test_what_a_loss_does_not_take():
    with pytest.raises(TypeError, match="CoxPH has no group"):
        fl.CoxPH().prepare([1.0], group=[1])
    with pytest.raises(TypeError, match="'strata'"):
        fl.GroupSoftmax()([0.0], [1.0], strata=[1])
    with pytest.raises(TypeError, match="group must say"):
        fl.GroupSoftmax()([0.0], [1.0])
    with pytest.raises(TypeError, match="booleans"):
        fl.survival_target([1.0], ["yes"])
    with pytest.raises(TypeError, match="time comes before event"):
        fl.survival_target([True, True], [1.0, 2.0])
    with pytest.raises(TypeError, match=r"strata must hold labels of one type; strata\[0\] is a str"):
        fl.cox_ph([0.0] * 2, [1.0, 2.0], strata=np.array(["a", 1], object))
    with pytest.raises(TypeError, match="group must hold labels of one type"):
        fl.group_softmax([0.0] * 2, [1.0, 2.0], group=np.array(["a", 1], object))


# --------------------------------------------------------------------------------------------------------- AFT


def exact_aft(distribution, z, scale, lower, upper):
    mp = mpmath.mp
    a = (mp.log(lower) - z) / scale if lower > 0 else -mp.inf
    b = (mp.log(upper) - z) / scale if upper < np.inf else mp.inf
    survival = {
        "normal": lambda x: mp.ncdf(-x),
        "logistic": lambda x: 1 / (1 + mp.exp(x)),
        "extreme": lambda x: mp.exp(-mp.exp(x)),
    }[distribution]
    density = {
        "normal": lambda x: mp.npdf(x),
        "logistic": lambda x: mp.exp(x) / (1 + mp.exp(x)) ** 2,
        "extreme": lambda x: mp.exp(x - mp.exp(x)),
    }[distribution]
    if lower == upper:
        return -mp.log(density(a)) + mp.log(scale) + mp.log(lower)
    beyond_a = 1 if a == -mp.inf else survival(a)
    beyond_b = 0 if b == mp.inf else survival(b)
    return -mp.log(beyond_a - beyond_b)


@pytest.mark.parametrize("distribution", ["normal", "logistic", "extreme"])
def test_aft_in_the_tails(distribution):
    """Value, gradient and Hessian of every kind of bounds, against 60 digits."""
    places = [-30.0, -8.0, -3.0, -0.7, 0.0, 0.7, 3.0, 8.0] + ([] if distribution == "extreme" else [30.0])
    with mpmath.workdps(300):
        for place in places:
            for lower, upper in [(1, 1), (1, np.inf), (0, 1), (1, 1.5), (1, 1 + 1e-3), (1, 1 + 1e-7), (0.5, 40.0)]:
                loss = fl.AFT(distribution, 0.8)
                z = -place * 0.8
                value, gradient, hessian = loss.value_gradient_and_hessian([z], [[lower, upper]])
                exact = [
                    mpmath.diff(lambda x: exact_aft(distribution, x, mpmath.mpf(0.8), lower, upper), mpmath.mpf(z), k)  # noqa: B023
                    for k in range(3)
                ]
                close(value, float(exact[0]), 1 + abs(float(exact[0])), 2e-12)
                close(gradient[0], float(exact[1]), 1 + abs(float(exact[1])), 1e-9)
                close(hessian[0], float(exact[2]), 1 + abs(float(exact[1])) ** 2 * 1e-5 + abs(float(exact[2])), 1e-6)


@pytest.mark.parametrize("distribution", ["normal", "logistic", "extreme"])
def test_aft_of_scipy(distribution):
    pytest.importorskip("scipy")
    rng = np.random.default_rng(2)
    z = np.stack([rng.normal(size=20), rng.normal(size=20, scale=0.3)], axis=1)
    loss = fl.AFT(distribution, None)
    of_time = loss.distribution_of(z)
    times = rng.exponential(size=20)
    assert loss(z, times, reduction="none") == pytest.approx(-of_time.logpdf(times))
    assert loss(z, -times, reduction="none") == pytest.approx(-of_time.logsf(times))
    assert loss.inverse_link(z) == pytest.approx(of_time.median())
    grid = [0.1, 1.0, 5.0]
    assert loss.survival_function(z, grid) == pytest.approx(np.stack([of_time.sf(each) for each in grid], axis=1))


@pytest.mark.parametrize("distribution", ["normal", "logistic", "extreme"])
@pytest.mark.parametrize("scale", [0.7, None])
def test_start_of_aft(distribution, scale):
    rng = np.random.default_rng(3)
    times = rng.exponential(size=500) * rng.choice([1, 1, -1], 500)
    loss = fl.AFT(distribution, scale)
    start = np.atleast_1d(loss.init_score(times))
    rows = np.full(500, start[0]) if scale else np.tile(start, (500, 1))
    assert np.abs(loss.gradient(rows, times).sum(axis=0)).max() < 1e-6


# ------------------------------------------------------------------------------------------------------ groups


def test_the_expected_hessian_is_that_of_choices_alone():
    z, t = [0.3, -0.2, 0.1], [1.0, 2.0, 0.0]
    loss = fl.GroupSoftmax()
    _, exact = loss.gradient_and_hessian(z, t, group=[3])
    assert np.array_equal(loss.gradient_and_hessian(z, t, group=[3], curvature="fisher")[1], exact)
    for other, target, why in (
        (fl.CoxPH(), [1.0, 2.0, -3.0], "when rows are censored"),
        (fl.AFT(), [1.0, 2.0, -3.0], "would have been censored"),
        (fl.PairwiseLogistic(), t, "no likelihood"),
    ):
        belongs = {"group": [3]} if target is t else {}
        with pytest.raises(ValueError, match=f"has no curvature 'fisher': .*{why}"):
            other.gradient_and_hessian(z, target, curvature="fisher", **belongs)


def test_groups_of_equal_size_are_rows_of_cross_entropy():
    rng = np.random.default_rng(4)
    z, t = rng.normal(size=(200, 7), scale=5), rng.random((200, 7))
    weight = rng.random(200) + 0.1
    entropy = fl.CrossEntropy().value_gradient_and_hessian(z, t / t.sum(axis=1, keepdims=True), sample_weight=weight)
    flat = (t / t.sum(axis=1, keepdims=True)).ravel()
    found = fl.GroupSoftmax().value_gradient_and_hessian(
        z.ravel(), flat, sample_weight=np.repeat(weight, 7), group=np.full(200, 7)
    )
    assert found[0] == pytest.approx(entropy[0])
    assert found[1] == pytest.approx(entropy[1].ravel())
    assert found[2] == pytest.approx(entropy[2].ravel())


def test_sizes_and_ids():
    z, t = [0.1, 0.2, 0.3, 0.4], [1, 0, 0, 1]
    for loss in (fl.GroupSoftmax(), fl.PairwiseLogistic()):
        assert loss(z, t, group=[3, 1]) == loss(z, t, group=["b", "b", "b", "a"]) == loss(z, t, group=[7, 7, 7, 2])
        assert loss(z, t, group=[3, 0, 1]) == loss(z, t, group=[3, 1])
        assert loss(z, t, group=[4]) == loss(z, t, group=[9, 9, 9, 9])


def test_groups_without_rows_that_count():
    weight = np.array([1.0, 1.0, 0.0, 0.0, 2.0, 2.0])
    z, t = np.arange(6.0), np.array([1.0, 0, 1, 0, 1, 0])
    for loss in (fl.GroupSoftmax(), fl.PairwiseLogistic()):
        each = loss(z, t, sample_weight=weight, group=[2, 2, 2], reduction="none")
        assert each[1] == 0
        assert loss(z, t, sample_weight=weight, group=[2, 2, 2]) == pytest.approx(each.sum() / 3)


def test_a_group_of_all_rows():
    rng = np.random.default_rng(5)
    z, t = rng.normal(size=N_LARGE, scale=100), rng.random(N_LARGE)
    value, gradient = fl.GroupSoftmax().value_and_gradient(z, t, group=[N_LARGE])
    p = fl.softmax(z)
    assert value == pytest.approx(np.sum(t) * fl.logsumexp(z) - t @ z)
    assert gradient == pytest.approx(t.sum() * p - t, abs=1e-9)


# -------------------------------------------------------------------------------------------------- concordance


def slow_concordance(times, risk, weight):
    won = pairs = 0.0
    for i in range(len(times)):
        for j in range(len(times)):
            if times[i] > 0 and (abs(times[j]) > times[i] or times[j] == -times[i]):
                w = weight[i] * weight[j]
                pairs += w
                won += w * ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j]))
    return won / pairs if pairs else np.nan


@pytest.mark.parametrize("seed", range(8))
def test_concordance(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    _, times, weight, _ = survival(rng, n)
    risk = rng.integers(0, max(2, n // 3), n).astype(float)
    for w in (None, weight):
        found = fl.concordance_index(times, risk, sample_weight=w)
        assert found == pytest.approx(slow_concordance(times, risk, np.ones(n) if w is None else w), nan_ok=True)


def test_concordance_of_nothing():
    assert np.isnan(fl.concordance_index([-1.0, -2.0], [1.0, 2.0]))
    assert fl.concordance_index([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == 1
    assert fl.concordance_index([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 0
    rng = np.random.default_rng(0)
    times, risk = rng.exponential(size=200_000), rng.normal(size=200_000)
    assert abs(fl.concordance_index(times, risk) - 0.5) < 0.01
