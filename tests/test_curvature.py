"""What stands in for the Hessian: psd and majorize, their formulas and what they promise, over wide random draws."""

import cases
import numpy as np
import pytest

import fastloss as fl

CURVATURES = ("exact", "psd", "majorize")


def problem(setup, dtype, spread, seed=0):
    shape = (300, 4) if setup.case.rowwise else (1500,)
    z, t = setup.draw(shape, dtype, spread, seed)
    return z, t, setup.build(shape[-1])


def hard_problem(setup, dtype):
    """What breaks careless code, but for infinities: there is no step from there."""
    if setup.case.rowwise:
        z = cases.hard_rows(dtype)
        z = z[np.isfinite(z).all(axis=-1)]
        _, t = setup.draw(z.shape, dtype)
        return z, t, setup.build(z.shape[-1])
    z = cases.hard_numbers(dtype)
    z = z[np.isfinite(z)]
    _, t = setup.draw((5,), dtype)
    z, t = (x.ravel() for x in np.meshgrid(z, t))
    return z, t, setup.build()


def where(wrong, *arrays):
    """The first three of them, to be read."""
    first = np.argwhere(wrong)[:3]
    return [[x if isinstance(x, str) else x[tuple(i[: x.ndim])] for x in arrays] for i in first]


@pytest.mark.parametrize("spread", [*cases.SPREADS, "hard"])
def test_signs_and_order(setup, dtype, spread):
    """psd and majorize are never negative, and never 0 where the gradient is not; majorize is never below exact."""
    z, t, loss = hard_problem(setup, dtype) if spread == "hard" else problem(setup, dtype, spread)
    rng = np.random.default_rng(0)
    weights = (None, rng.uniform(0.1, 2, z.shape[:1]))
    for weight, reduction in ((weights[0], "none"), (weights[1], "sum"), (weights[1], "mean")):
        options = {"sample_weight": weight, "reduction": reduction}
        value, gradient, exact = loss.value_gradient_and_hessian(z, t, **options)
        for curvature in CURVATURES:
            g, hessian = loss.gradient_and_hessian(z, t, curvature=curvature, **options)
            assert cases.same_bits(g, gradient)
            v, _, same = loss.value_gradient_and_hessian(z, t, curvature=curvature, **options)
            assert cases.same_bits(v, value)
            assert cases.same_bits(hessian, same)
            if curvature == "exact":
                assert cases.same_bits(hessian, exact)
                continue

            seen = reduction, z, t, gradient, exact, hessian
            finite = np.isfinite(gradient)
            wrong = ~(hessian >= 0) & finite
            assert not wrong.any(), f"{curvature} is negative or nan at {where(wrong, *seen)}"
            wrong = finite & (np.abs(gradient) >= np.finfo(dtype).tiny) & (hessian == 0)
            assert not wrong.any(), f"{curvature} is 0 at {where(wrong, *seen)}"
            if spread in ("normal", "wide", "small"):
                wrong = finite & np.isfinite(exact) & ~np.isfinite(hessian)
                assert not wrong.any(), f"{curvature} is infinite at {where(wrong, *seen)}"
            if curvature == "majorize":
                slack = 16 * np.finfo(dtype).eps
                wrong = hessian < exact * (1 - slack) - 16 * np.finfo(dtype).tiny
                assert not wrong.any(), f"majorize is below exact at {where(wrong, *seen)}"


@pytest.mark.parametrize("spread", ["normal", "wide", "huge"])
def test_formulas(pointwise_setup, dtype, spread):
    """What the documentation says they are: no bound is wider than it has to be."""
    setup = pointwise_setup
    if setup.case.curvatures is None:
        pytest.skip("not written down in the table")
    z, t, loss = problem(setup, dtype, spread)
    parameters = setup.parameters()
    with np.errstate(all="ignore"):
        formulas = setup.case.curvatures(z.astype(cases.wide(dtype)), t.astype(cases.wide(dtype)), **parameters)
        away = setup.case.from_kink(z, t, parameters) > 1e-3 * (1 + np.abs(z))
        # Half an ulp of the residual, and an exponential's argument.
        moved = 64 * np.finfo(dtype).eps * (1 + np.minimum(np.abs(z), 1e3))
    for curvature, formula in zip(CURVATURES[1:], formulas, strict=True):
        _, found = loss.gradient_and_hessian(z, t, curvature=curvature, reduction="none")
        keep = away & (formula > 1e-9) & (formula < 1e30)
        assert keep.any() or (formula == 0).all()
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(found - formula) <= moved * formula)
        bad = wrong & keep
        assert not bad.any(), f"{curvature} at {z[bad][:3]}, {t[bad][:3]}: {found[bad][:3]}, not {formula[bad][:3]}"
        # The floor is far below anything that matters.
        bad = (formula <= 1e-9) & (found > 2e-9)
        assert not bad.any(), f"{curvature} at {z[bad][:3]}, {t[bad][:3]}: {found[bad][:3]}, not {formula[bad][:3]}"


def step_of(loss, z, t):
    gradient, hessian = loss.gradient_and_hessian(z, t, curvature="majorize", reduction="none")
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.where(gradient == 0, 0.0, -gradient / np.where(hessian > 0, hessian, 1))
    return gradient, np.where(np.isfinite(step), step, 0.0)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("spread", ["normal", "wide", "small"])
def test_a_newton_step_never_raises_the_loss(setup, spread, seed):
    """For rows: of all logits at once."""
    z, t, loss = problem(setup, np.float64, spread, seed)
    for _ in range(4):
        gradient, step = step_of(loss, z, t)
        before = loss(z, t, reduction="none")
        after = loss(z + step, t, reduction="none")
        kept = np.isfinite(before)
        # Poisson's value and gradient are differences.
        rounding = 1e-11 * (1 + np.abs(before)) + 1e-13 * (
            np.abs(z).max(axis=-1) if setup.case.rowwise else np.abs(z * t)
        )
        raised = kept & ~(after <= before + rounding)
        assert not raised.any(), (
            f"from {z[raised][:2]} by {step[raised][:2]}, {t[raised][:2]}: {before[raised][:2]} to {after[raised][:2]}"
        )
        # Where there is a way down, it goes down.
        promise = np.abs(gradient * step)
        promise = promise.sum(axis=-1) if setup.case.rowwise else promise
        stuck = kept & (promise > 1e-6 * (1 + np.abs(before))) & ~(after < before)
        assert not stuck.any(), f"stays where it is: {z[stuck][:2]}, {t[stuck][:2]}, {step[stuck][:2]}"
        z = z + step


@pytest.mark.parametrize("spread", ["normal", "wide"])
def test_a_newton_step_never_passes_the_minimum(pointwise_setup, spread):
    setup = pointwise_setup
    if not setup.case.stops_at_minimum:
        pytest.skip("may land beyond the minimum, lower than it started")
    z, t, loss = problem(setup, np.float64, spread)
    gradient, step = step_of(loss, z, t)
    # A step that lands on the minimum may miss it by an ulp.
    for share in (0.25, 0.5, 0.9, 1 - 1e-6):
        there = loss.gradient(z + share * step, t, reduction="none")
        passed = (there * np.sign(gradient) < -1e-12 * np.abs(gradient)) & (np.abs(step) > 1e-6)
        assert not passed.any(), f"{share} of the step from {z[passed][:3]} for {t[passed][:3]}: {there[passed][:3]}"


def test_majorizing_parabola_lies_above(setup):
    """value(x) <= value(z) + gradient(z) (x - z) + majorizer(z) / 2 (x - z)^2, wherever x is."""
    if not setup.case.parabola:
        pytest.skip("promises less: not above the whole loss")
    rng = np.random.default_rng(0)
    for spread in ("normal", "wide"):
        z, t, loss = problem(setup, np.float64, spread)
        value, gradient, hessian = loss.value_gradient_and_hessian(z, t, curvature="majorize", reduction="none")
        with np.errstate(over="ignore"):
            steps = [-gradient / np.where(hessian > 0, hessian, 1)]
        steps += [rng.normal(size=z.shape) * scale for scale in (0.1, 1, 10, 100)]
        for step in steps:
            bound = gradient * step + hessian / 2 * step**2
            if setup.case.rowwise:
                bound = bound.sum(axis=-1)
            moved = loss(z + step, t, reduction="none")
            assert np.all(moved <= value + bound + 1e-11 * (1 + np.abs(value) + np.abs(bound)))


def test_psd_is_exact_for_convex_losses_with_curvature(dtype):
    for loss, z, t in (
        (fl.SquaredError(), [0.3], [0.1]),
        (fl.BinaryCrossEntropy(), [0.3], [1.0]),
        (fl.CrossEntropy(), [[0.3, 0.1]], [1]),
        (fl.KLDivergence(), [[0.3, 0.1]], [1]),
        (fl.LogCosh(), [0.3], [0.1]),
        (fl.PseudoHuber(), [0.3], [0.1]),
        (fl.Fair(), [0.3], [0.1]),
        (fl.Expectile(), [0.3], [0.1]),
        (fl.Exponential(), [0.3], [1.0]),
        (fl.Poisson(), [0.3], [1.0]),
        (fl.Gamma(), [0.3], [1.0]),
        (fl.Tweedie(), [0.3], [1.0]),
    ):
        z = np.array(z, dtype)
        exact = loss.gradient_and_hessian(z, t)[1]
        np.testing.assert_allclose(loss.gradient_and_hessian(z, t, curvature="psd")[1], exact, rtol=1e-6)


def test_psd_of_losses_without_curvature(dtype):
    z = np.array([-3.0, -0.5, 0.25, 100.0], dtype)
    target = np.zeros(4, dtype)
    for loss in (fl.AbsoluteError(), fl.Quantile(q=0.3), fl.EpsilonInsensitive(), fl.Hinge()):
        hessian = loss.gradient_and_hessian(z, target, curvature="psd", reduction="sum")[1]
        np.testing.assert_array_equal(hessian, 1)


def test_curvature_of_the_multiclass_hinge(dtype):
    """1 for psd; for majorize one over the distance to where another piece of the maximum takes over."""
    z = np.array([[0.0, 3.0, 1.0], [4.0, 0.0, 0.5], [2.0, 1.25, 0.0]], dtype)
    t = np.array([0, 0, 2])
    loss = fl.MulticlassHinge()
    for curvature, expected in (
        ("exact", [0, 0, 0]),
        ("psd", [1, 1, 1]),
        # min(1 + 3 - 0, 3 - 1); |1 + 0.5 - 4|; min(1 + 2 - 0, 2 - 1.25)
        ("majorize", [1 / 2, 1 / 2.5, 1 / 0.75]),
    ):
        _, hessian = loss.gradient_and_hessian(z, t, curvature=curvature, reduction="none")
        np.testing.assert_allclose(hessian, np.broadcast_to(np.array(expected)[:, np.newaxis], z.shape), rtol=1e-6)
