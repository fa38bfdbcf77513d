"""curvature="fisher" of the losses of one number or of a row of logits: the Hessian that the prediction expects."""

import cases
import numpy as np
import pytest

import fastloss as fl

LIKELIHOODS = [case for case in cases.CASES if "fisher" in case.build({}).curvatures]


def test_every_likelihood_has_it():
    assert {case.constructor for case in LIKELIHOODS} == {
        *("BinaryCrossEntropy", "CrossEntropy", "KLDivergence", "SquaredError"),
        *("Gamma", "InverseGaussian", "NegativeBinomial", "Poisson", "Tweedie"),
    }


@pytest.mark.parametrize("case", LIKELIHOODS, ids=str)
def test_fisher_is_the_hessian_where_the_target_is_expected(case, dtype):
    """All of these Hessians are linear in the target, so what is expected of them is the one of the mean."""
    loss = case.build(case.parameters[-1] if not case.rowwise else {})
    shape = (257, 5) if case.rowwise else (1501,)
    z, t = cases.draw(
        case,
        "probability" if case.rowwise else "soft" if case.domain == "probability" else case.kinds[0],
        shape,
        dtype,
        "normal",
        0,
    )
    if case.rowwise:
        t = (t + dtype(0.01)) / (t + dtype(0.01)).sum(axis=-1, keepdims=True)
    mean = np.asarray(loss.inverse_link(z)) if case.inverse_link == "exp" else t
    value, gradient, fisher = loss.value_gradient_and_hessian(z, t, curvature="fisher", reduction="none")
    _, expected = loss.gradient_and_hessian(z.astype(np.float64), mean.astype(np.float64), reduction="none")
    np.testing.assert_allclose(fisher, expected, rtol=64 * np.finfo(dtype).eps, atol=1e-30)
    same = loss.value_and_gradient(z, t, reduction="none")
    assert cases.same_bits(value, same[0])
    assert cases.same_bits(gradient, same[1])
    assert (fisher >= 0).all()


def test_it_is_refused_elsewhere():
    for loss in (fl.Huber(), fl.BinaryFocal(), fl.Focal(), fl.Dice()):
        assert "fisher" not in loss.curvatures
    with pytest.raises(ValueError, match=r"curvature must be .*, got 'fisher'"):
        fl.Huber().gradient_and_hessian([0.0], [1.0], curvature="fisher")
    with pytest.raises(ValueError, match=r"curvature must be .*, got 'fisher'"):
        fl.Focal().gradient_and_hessian([[0.0, 1.0]], [1], curvature="fisher")
