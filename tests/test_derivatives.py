"""The gradient is the value's derivative and the Hessian the gradient's, by 4th-order central differences."""

import numpy as np
import pytest

STEP = 2.0**-9
OFFSETS = np.array([-2, -1, 1, 2]) * STEP
COEFFICIENTS = np.array([1, -8, 8, -1]) / (12 * STEP)


def far_from_kinks(setup, z, t):
    kinks = setup.case.kinks(**setup.parameters())
    return np.all([np.abs(z - t - kink) > 3 * STEP for kink in kinks], axis=0) if kinks else np.ones(z.shape, bool)


@pytest.mark.parametrize("shape", [(400,), (30, 5)], ids=str)
def test_derivatives_by_differences(setup, evaluate, shape):
    if setup.case.rowwise and len(shape) == 1:
        shape = (200, 2)
    z, t = setup.draw(shape)
    if not setup.case.rowwise:
        smooth = far_from_kinks(setup, z, t)
        z, t = z[smooth], t[smooth]
        moved = z + OFFSETS[:, np.newaxis]
        value, gradient, _ = evaluate(setup, moved.ravel(), np.broadcast_to(t, moved.shape).ravel())
        value, gradient = value.reshape(moved.shape), gradient.reshape(moved.shape)
    else:
        n, n_classes = shape
        # (offset, row, which logit is moved, class)
        moved = z[:, np.newaxis, :] + OFFSETS[:, np.newaxis, np.newaxis, np.newaxis] * np.eye(n_classes)
        copies = t[:, np.newaxis, :] if t.ndim == 2 else t[:, np.newaxis]
        copies = np.broadcast_to(copies, moved.shape[: t.ndim + 2])
        value, gradient, _ = evaluate(setup, moved.reshape(-1, n_classes), copies.reshape(-1, *copies.shape[3:]))
        value = value.reshape(moved.shape[:-1])
        gradient = np.einsum("...jj->...j", gradient.reshape(moved.shape))
    _, exact_gradient, exact_hessian = evaluate(setup, z, t)
    slope = np.tensordot(COEFFICIENTS, value, 1)
    curvature = np.tensordot(COEFFICIENTS, gradient, 1)
    # Truncation is h^4 / 30 of a fifth derivative, rounding an ulp over h.
    np.testing.assert_allclose(exact_gradient, slope, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(exact_hessian, curvature, rtol=1e-8, atol=1e-8)


def test_derivatives_are_those_of_the_reduced_value(few_setup):
    rng = np.random.default_rng(1)
    z, t = few_setup.draw((12, 3))
    if not few_setup.case.rowwise:
        smooth = far_from_kinks(few_setup, z, t)
        z = np.where(smooth, z, t + 0.5)
    loss = few_setup.build(3)
    w = rng.uniform(0, 2, 12 if few_setup.case.rowwise else (12, 3))
    for reduction in ("mean", "sum"):
        options = {"sample_weight": w, "reduction": reduction}
        gradient = loss.gradient(z, t, **options)
        direction = rng.normal(size=z.shape)
        values = [loss(z + h * direction, t, **options) for h in OFFSETS / 8]
        slope = 8 * np.dot(COEFFICIENTS, values)
        assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-6, abs=1e-9)
