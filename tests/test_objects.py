"""Losses as objects: what they are called, how they compare and travel, and what else they know about themselves."""

import copy
import pickle

import cases
import numpy as np
import pytest
from scipy import optimize

import fastloss as fl

CONFIGURED = [(case, parameters) for case in cases.CASES for parameters in case.parameters]


@pytest.fixture(params=CONFIGURED, ids=lambda pair: f"{pair[0]}-{cases.label(pair[1])}")
def configured(request):
    case, parameters = request.param
    return case, cases.resolve(parameters, 3)


def build(case, parameters):
    return getattr(fl, case.constructor)(**parameters)


def test_repr_rebuilds_it(configured):
    case, parameters = configured
    loss = build(case, parameters)
    text = repr(loss)
    assert text.startswith(case.constructor + "(")
    assert "\n" not in text
    again = eval(text, {**vars(fl), "array": np.array, "np": np, "fl": fl})
    assert again == loss
    assert repr(again) == text


def test_repr_names_the_parameters():
    assert repr(fl.Huber(delta=1.5)) == "Huber(delta=1.5)"
    assert repr(fl.Huber(2)) == "Huber(delta=2.0)"
    assert repr(fl.SquaredError()) == "SquaredError()"
    assert "gamma=2.0" in repr(fl.Focal())


def test_equality_and_hash(configured):
    case, parameters = configured
    loss = build(case, parameters)
    assert loss == build(case, parameters)
    assert hash(loss) == hash(build(case, parameters))
    assert len({loss, build(case, parameters)}) == 1
    for other_case, other in CONFIGURED:
        other = cases.resolve(other, 3)
        loss_of_other = build(other_case, other)
        same = other_case is case and repr(loss_of_other) == repr(loss)
        assert (loss == loss_of_other) == same
        assert (loss != loss_of_other) != same
    assert loss != 1
    assert loss is not None
    assert loss != case.constructor


def test_equality_looks_at_the_weights():
    assert fl.CrossEntropy(class_weight=[1, 2]) != fl.CrossEntropy(class_weight=[1, 3])
    assert fl.CrossEntropy(class_weight=[1, 2]) != fl.CrossEntropy(class_weight=[1, 2, 3])
    assert fl.CrossEntropy(class_weight=[1, 2]) != fl.CrossEntropy()
    assert fl.BinaryCrossEntropy(pos_weight=[1.0, 2.0]) != fl.BinaryCrossEntropy(pos_weight=[1.0, 2.5])
    assert fl.BinaryCrossEntropy(pos_weight=2) == fl.BinaryCrossEntropy(pos_weight=2.0)


def test_pickle_and_copies(configured):
    case, parameters = configured
    loss = build(case, parameters)
    z, t = cases.draw(case, case.kinds[0], (10, 3))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(loss, protocol))
        assert type(again) is type(loss)
        assert again == loss
        assert again(z, t) == loss(z, t)
    for again in (copy.copy(loss), copy.deepcopy(loss), copy.deepcopy([loss])[0]):
        assert again == loss
        assert again(z, t) == loss(z, t)


def test_losses_do_not_change(configured):
    case, parameters = configured
    loss = build(case, parameters)
    before = repr(loss)
    names = {*dir(loss), *parameters, "anything"}
    for name in sorted(names):
        if name == "__class__":
            continue
        with pytest.raises((AttributeError, TypeError)):
            setattr(loss, name, 1)
    for name in ("name", "parameters"):
        with pytest.raises((AttributeError, TypeError)):
            delattr(loss, name)
    assert repr(loss) == before
    assert not hasattr(loss, "__dict__")


def test_arrays_of_the_caller_are_copied():
    weight = np.array([1.0, 2.0])
    loss = fl.CrossEntropy(class_weight=weight)
    same = fl.CrossEntropy(class_weight=[1.0, 2.0])
    weight[0] = 100
    assert loss == same
    held = loss.parameters["class_weight"]
    with pytest.raises((ValueError, TypeError)):
        held[0] = 100
    assert loss == same
    weight = np.array([1.0, 2.0])
    loss = fl.BinaryCrossEntropy(pos_weight=weight)
    weight[0] = 100
    assert loss == fl.BinaryCrossEntropy(pos_weight=[1.0, 2.0])


def test_parameters_of_a_loss_cannot_be_changed_from_outside(configured):
    case, parameters = configured
    loss = build(case, parameters)
    z, t = cases.draw(case, case.kinds[0], (10, 3))
    before = loss(z, t), repr(loss), hash(loss)
    try:
        for name in list(loss.parameters):
            loss.parameters[name] = 0.123
    except TypeError:
        pass
    assert (loss(z, t), repr(loss), hash(loss)) == before


def test_names(configured):
    case, parameters = configured
    loss = build(case, parameters)
    assert loss.name == case.function
    assert list(loss.parameters)[: len(parameters)] is not None
    for name, value in parameters.items():
        assert np.array_equal(loss.parameters[name], value)


def test_list_of_losses():
    listed = fl.losses()
    assert {each.__name__ for each in listed} == {case.constructor for case in cases.CASES}
    assert all(isinstance(each, type) for each in listed)
    assert all(each() == each() for each in listed)


# --------------------------------------------------------------------------- curvature


def finite_problem(setup, dtype, spread):
    shape = (200, 3) if setup.case.rowwise else (600,)
    return setup.draw(shape, dtype, spread), setup.build(3)


@pytest.mark.parametrize("spread", ["normal", "wide"])
def test_curvatures(setup, dtype, spread):
    (z, t), loss = finite_problem(setup, dtype, spread)
    for weight in (None, np.random.default_rng(0).uniform(0.1, 2, z.shape[:1])):
        options = {"sample_weight": weight}
        gradient, exact = loss.gradient_and_hessian(z, t, **options)
        for curvature in ("exact", "psd", "majorize"):
            g, hessian = loss.gradient_and_hessian(z, t, curvature=curvature, **options)
            assert cases.same_bits(g, gradient)
            assert np.isfinite(hessian).all()
            value, _, same = loss.value_gradient_and_hessian(z, t, curvature=curvature, **options)
            assert value == loss(z, t, **options)
            assert cases.same_bits(hessian, same)
            if curvature == "exact":
                assert cases.same_bits(hessian, exact)
                continue
            assert np.all(hessian >= 0)
            assert np.all(hessian[gradient != 0] > 0)
            if curvature == "majorize":
                slack = 16 * np.finfo(dtype).eps
                assert np.all(hessian >= exact * (1 - slack))


def test_psd_is_exact_for_convex_losses_with_curvature(dtype):
    for loss, z, t in (
        (fl.SquaredError(), [0.3], [0.1]),
        (fl.BinaryCrossEntropy(), [0.3], [1.0]),
        (fl.CrossEntropy(), [[0.3, 0.1]], [1]),
    ):
        z = np.array(z, dtype)
        exact = loss.gradient_and_hessian(z, t)[1]
        np.testing.assert_allclose(loss.gradient_and_hessian(z, t, curvature="psd")[1], exact, rtol=1e-6)


def test_psd_of_losses_without_curvature(dtype):
    z = np.array([-3.0, -0.5, 0.25, 100.0], dtype)
    hessian = fl.AbsoluteError().gradient_and_hessian(z, np.zeros(4, dtype), curvature="psd", reduction="sum")[1]
    np.testing.assert_array_equal(hessian, 1)


def test_majorizing_parabola_lies_above(setup):
    """value(x) <= value(z) + gradient(z) (x - z) + majorizer(z) / 2 (x - z)^2, so no Newton step overshoots."""
    if setup.case.function == "binary_focal":
        pytest.skip("bounds the curvature at the point only: the loss is not convex")
    rng = np.random.default_rng(0)
    for spread in ("normal", "wide"):
        (z, t), loss = finite_problem(setup, np.float64, spread)
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


# ----------------------------------------------------------------- link, posterior, start


def unclipped(proba):
    return (proba > 1e-9) & (proba < 1 - 1e-9)


def test_inverse_link(configured, dtype):
    case, parameters = configured
    loss = build(case, parameters)
    z = cases.draw_prediction(np.random.default_rng(0), (9, 3), dtype)
    found = loss.inverse_link(z)
    if case.domain == "real":
        assert cases.same_bits(found, z)
    elif case.rowwise:
        assert cases.same_bits(found, fl.softmax(z))
    else:
        assert cases.same_bits(found, fl.sigmoid(z))


def test_predict_proba_is_the_posterior(configured):
    """The probability for which the score is the best one: the expected gradient there is 0."""
    case, parameters = configured
    loss = build(case, parameters)
    if case.domain == "real":
        assert not hasattr(loss, "predict_proba")
        return
    if parameters.get("alpha") in (0.0, 1.0):
        pytest.skip("one label has no weight: every score is as good")
    z = cases.draw_prediction(np.random.default_rng(0), (400, 3))
    proba = loss.predict_proba(z)
    assert proba.shape == z.shape
    if case.rowwise:
        np.testing.assert_allclose(proba.sum(axis=-1), 1, rtol=1e-12)
        inside = unclipped(proba).all(axis=-1)
        assert inside.sum() > 50
        z, proba = z[inside], proba[inside]
    else:
        inside = unclipped(proba)
        assert inside.sum() > 100
        z, proba = z[inside], proba[inside]
    # The expectation over labels drawn with these probabilities is the loss of the soft target.
    gradient = loss.gradient(z, proba, reduction="none" if case.rowwise else "sum")
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


@pytest.mark.parametrize("name", ["CrossEntropy", "BinaryCrossEntropy", "Focal", "BinaryFocal"])
def test_predict_proba_without_options_is_the_link(name, dtype):
    loss = getattr(fl, name)(**({"gamma": 0.0} if "Focal" in name else {}))
    z = cases.draw_prediction(np.random.default_rng(0), (20, 4), dtype)
    found = loss.predict_proba(z)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, loss.inverse_link(z), rtol=16 * np.finfo(dtype).eps)


def test_predict_proba_at_extreme_scores(dtype):
    big = np.array([-1e4, -200, 200, 1e4, -np.inf, np.inf], dtype)
    for gamma in (0.0, 0.5, 2.0, 5.0):
        for alpha in (None, 0.25):
            found = fl.BinaryFocal(gamma=gamma, alpha=alpha).predict_proba(big)
            np.testing.assert_allclose(found, [0, 0, 1, 1, 0, 1], atol=1e-6)
        rows = np.stack([big, np.zeros_like(big)], axis=1)
        found = fl.Focal(gamma=gamma).predict_proba(rows)
        np.testing.assert_allclose(found[:, 0], [0, 0, 1, 1, 0, 1], atol=1e-6)
        np.testing.assert_allclose(found[:, 1], [1, 1, 0, 0, 1, 0], atol=1e-6)
    assert np.isnan(fl.BinaryFocal().predict_proba(np.array([np.nan], dtype))).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_init_score_minimises_the_loss(setup, weighted):
    case = setup.case
    parameters = setup.parameters(3)
    if parameters.get("alpha") in (0.0, 1.0):
        pytest.skip("one label has no weight: the loss has no minimum")
    loss = setup.build(3)
    rng = np.random.default_rng(0)
    n = 101
    if case.rowwise:
        t = rng.choice(3, n, p=[0.7, 0.2, 0.1])
        if setup.kind == "probability":
            t = np.abs(np.eye(3)[t] - rng.uniform(0, 0.3, (n, 3)))
    elif case.domain == "probability":
        t = (rng.uniform(size=n) < 0.1).astype(float)
        if setup.kind == "soft":
            t = np.abs(t - rng.uniform(0, 0.4, n))
    else:
        t = rng.normal(3, 2, n)
    w = rng.uniform(0, 2, n) if weighted else None
    score = loss.init_score(t, sample_weight=w)
    if not case.rowwise:
        assert isinstance(score, float)
        best = loss(np.full(n, score), t, sample_weight=w)
        found = optimize.minimize_scalar(
            lambda z: loss(np.full(n, z), t, sample_weight=w), bounds=(-12, 12), options={"xatol": 1e-10}
        )
        assert best <= found.fun * (1 + 1e-12)
        if case.function != "absolute_error":
            assert abs(loss.gradient(np.full(n, score), t, sample_weight=w).sum()) < 1e-9
        return
    assert score.shape == (3,)
    value, gradient = loss.value_and_gradient(np.tile(score, (n, 1)), t, sample_weight=w)
    np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-9)

    def objective(z):
        value, gradient = loss.value_and_gradient(np.tile(z, (n, 1)), t, sample_weight=w)
        return value, gradient.sum(axis=0)

    found = optimize.minimize(objective, np.zeros(3), jac=True, tol=1e-12)
    assert value <= found.fun * (1 + 1e-12)


def test_init_score_of_one_label_is_finite(configured):
    case, parameters = configured
    loss = build(case, parameters)
    if case.domain == "real":
        assert loss.init_score(np.full(5, 2.5)) == pytest.approx(2.5)
        return
    if parameters.get("alpha") in (0.0, 1.0):
        pytest.skip("one label has no weight")
    for label in (0, 1):
        score = loss.init_score(np.full(9, label), **({"n_classes": 3} if case.rowwise else {}))
        assert np.isfinite(score).all()


def test_init_score_refuses(configured):
    case, parameters = configured
    loss = build(case, parameters)
    with pytest.raises(ValueError, match=r"target|count|weight"):
        loss.init_score(np.zeros(0))
    t = np.zeros(4, np.int64)
    with pytest.raises(ValueError, match="weight"):
        loss.init_score(t, sample_weight=np.zeros(4))
    with pytest.raises(ValueError, match="sample_weight"):
        loss.init_score(t, sample_weight=[1, 1, -1, 1])
    with pytest.raises(TypeError, match="target"):
        loss.init_score(None)
    if case.domain != "real":
        with pytest.raises(ValueError, match="target"):
            loss.init_score([0.0, -1.0, 1.0])


def test_function_and_object_are_one(few_setup, dtype):
    z, t = few_setup.draw((20, 3), dtype)
    parameters = few_setup.parameters(3)
    function = getattr(fl, few_setup.case.function)
    for reduction in ("mean", "sum"):
        assert function(z, t, reduction=reduction, **parameters) == few_setup.build(3)(z, t, reduction=reduction)
    one = function(z, t, reduction="none", **parameters)
    assert cases.same_bits(one, few_setup.build(3)(z, t, reduction="none"))
