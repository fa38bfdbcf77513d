"""The gradient is the value's derivative and the Hessian the gradient's, by 4th-order central differences."""

import numpy as np
import pytest

STEP = 2.0**-9
OFFSETS = np.array([-2, -1, 1, 2])
COEFFICIENTS = np.array([1, -8, 8, -1]) / 12


def step_of(setup):
    """Small beside the residuals at which the loss changes its form."""
    parameters = setup.parameters(3)
    return STEP * min([1.0] + [parameters[name] for name in ("c", "delta") if name in parameters])


def far_from_kinks(setup, z, t):
    return setup.case.from_kink(z, t, setup.parameters(z.shape[-1])) > 3 * STEP


@pytest.mark.parametrize("shape", [(400,), (30, 5)], ids=str)
def test_derivatives_by_differences(setup, evaluate, shape):
    if setup.case.rowwise and len(shape) == 1:
        shape = (200, 2)
    z, t = setup.draw(shape)
    smooth = far_from_kinks(setup, z, t)
    assert smooth.mean() > 0.5
    z, t = z[smooth], t[smooth]
    step = step_of(setup)
    offsets, coefficients = OFFSETS * step, COEFFICIENTS / step
    if not setup.case.rowwise:
        moved = z + offsets[:, np.newaxis]
        value, gradient, _ = evaluate(setup, moved.ravel(), np.broadcast_to(t, moved.shape).ravel())
        value, gradient = value.reshape(moved.shape), gradient.reshape(moved.shape)
    else:
        n_classes = shape[-1]
        # (offset, row, which logit is moved, class)
        moved = z[:, np.newaxis, :] + offsets[:, np.newaxis, np.newaxis, np.newaxis] * np.eye(n_classes)
        copies = t[:, np.newaxis, :] if t.ndim == 2 else t[:, np.newaxis]
        copies = np.broadcast_to(copies, moved.shape[: t.ndim + 2])
        value, gradient, _ = evaluate(setup, moved.reshape(-1, n_classes), copies.reshape(-1, *copies.shape[3:]))
        value = value.reshape(moved.shape[:-1])
        gradient = np.einsum("...jj->...j", gradient.reshape(moved.shape))
    _, exact_gradient, exact_hessian = evaluate(setup, z, t)
    slope = np.tensordot(coefficients, value, 1)
    curvature = np.tensordot(coefficients, gradient, 1)
    # Truncation is h^4 / 30 of a fifth derivative, rounding an ulp over h.
    np.testing.assert_allclose(exact_gradient, slope, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(exact_hessian, curvature, rtol=1e-8, atol=1e-8)


def test_derivatives_are_those_of_the_reduced_value(few_setup):
    rng = np.random.default_rng(1)
    z, t = few_setup.draw((12, 3))
    loss = few_setup.build(3)
    w = rng.uniform(0, 2, 12 if few_setup.case.rowwise else (12, 3)) * far_from_kinks(few_setup, z, t)
    for reduction in ("mean", "sum"):
        options = {"sample_weight": w, "reduction": reduction}
        gradient = loss.gradient(z, t, **options)
        direction = rng.normal(size=z.shape)
        values = [loss(z + h * direction, t, **options) for h in OFFSETS * STEP / 8]
        slope = 8 * np.dot(COEFFICIENTS / STEP, values)
        assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-6, abs=1e-9)
