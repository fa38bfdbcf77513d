"""Losses as objects: what they are called, how they compare and travel, and what else they know about themselves."""

import copy
import pickle

import cases
import numpy as np
import pytest

import fastloss as fl

# Losses of several numbers a row are in test_columns.py.
CONFIGURED = [(case, parameters) for case in (*cases.CASES, *cases.SETS) for parameters in case.parameters]


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
    assert {each.__name__ for each in listed} == {case.constructor for case in cases.TABLE}
    assert all(isinstance(each, type) for each in listed)
    assert all(each() == each() for each in listed)


def test_function_and_object_are_one(few_setup, dtype):
    z, t = few_setup.draw((20, 3), dtype)
    parameters = few_setup.parameters(3)
    function = getattr(fl, few_setup.case.function)
    for reduction in ("mean", "sum"):
        assert function(z, t, reduction=reduction, **parameters) == few_setup.build(3)(z, t, reduction=reduction)
    one = function(z, t, reduction="none", **parameters)
    assert cases.same_bits(one, few_setup.build(3)(z, t, reduction="none"))


def test_without_our_init(case):
    """A subclass that forgets it has no kernel: an error, and no crash."""

    class Forgetful(getattr(fl, case.constructor)):
        def __init__(self):
            pass

    loss = Forgetful()
    z, t = cases.draw(case, case.kinds[0], (10, 3))
    calls = [lambda: loss(z, t), lambda: loss([z.tolist()], [t.tolist()]), lambda: loss.value_and_gradient(z, t)]
    calls += [lambda: loss.target_domain]
    if hasattr(loss, "packed_hessian"):
        calls += [lambda: loss.packed_hessian(z, t), lambda: loss.hessian_vector_product(z, t, z)]
    for call in calls:
        with pytest.raises(TypeError, match="__init__ has not been called"):
            call()
    assert repr(loss) == "Forgetful()"
    assert loss.parameters == {}
    assert loss == Forgetful()


KINDS = {
    "pointwise": fl._kernels.PointwiseLoss,
    "rowwise": fl._kernels.RowwiseLoss,
    "setwise": fl._kernels.SetLoss,
}


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_of_another_kind(case, kind):
    """A name of another family, or a function without a target, is refused where it is given."""
    if getattr(fl, case.constructor)().kind == kind:
        refused = 0
        for n in range(6):
            try:
                assert KINDS[kind](case.function, {}, (1.0,) * n).name == case.function
            except ValueError:
                refused += 1
        assert refused == 5, "one number of coefficients is right"
    else:
        for n in range(5):
            with pytest.raises(ValueError, match=f"no {kind} kernel named '{case.function}'"):
                KINDS[kind](case.function, {}, (1.0,) * n)
    for name in ("softmax", "sigmoid", "", "nothing"):
        with pytest.raises(ValueError, match="there is no"):
            KINDS[kind](name, {})


def test_functions_of_another_kind():
    for name in ("softmax", "huber", "cross_entropy", "dice", "nothing"):
        with pytest.raises(ValueError, match="no such function"):
            fl._kernels.unary(name, np.zeros(3), None)
    for name in ("sigmoid", "huber", "cross_entropy", "dice", "nothing"):
        for x in (np.zeros((2, 3)), [0.0]):
            with pytest.raises(ValueError, match="no such function"):
                fl._kernels.row_function(name, x, -1, None)


def test_options_of_rows_are_checked_where_they_are_given():
    """By the constructor that whoever adds a loss calls, and not by each loss alone."""
    for options, word in (
        ({"class_weight": [-1.0]}, "class_weight"),
        ({"class_weight": np.ones((2, 2))}, "class_weight"),
        ({"label_smoothing": 2.0}, "label_smoothing"),
        ({"ignore_index": 2**70}, "ignore_index"),
    ):
        with pytest.raises(ValueError, match=word):
            fl._kernels.RowwiseLoss("cross_entropy", {}, (), **options)
    loss = fl._kernels.RowwiseLoss("cross_entropy", {}, (), class_weight=[1.0, 2.0])
    for t in (np.zeros(4, np.int64), np.zeros((4, 3))):
        with pytest.raises(ValueError, match="class_weight holds 2 numbers"):
            loss(np.zeros((4, 3)), t)


def test_the_base_is_no_loss_of_its_own():
    with pytest.raises(TypeError, match="no loss of its own"):
        fl.Loss("huber", {}, (1.0,))


class Renamed(fl.Huber):
    """A subclass with a constructor of its own."""

    def __init__(self, width):
        super().__init__(delta=2 * width)
        self.width = width


class Weighted(fl.Focal):
    def __init__(self, first, second):
        super().__init__(gamma=1.5, class_weight=[first, second, 1.0], label_smoothing=0.1, ignore_index=7)


@pytest.mark.parametrize("loss", [Renamed(0.75), Weighted(2.0, 3.0)], ids=lambda each: type(each).__name__)
def test_pickle_of_a_subclass_with_another_constructor(loss):
    z, t = np.zeros((3, 3)), np.array([0, 1, 7])
    t = t if loss.kind == "rowwise" else np.ones((3, 3))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(loss, protocol))
        assert type(again) is type(loss)
        assert again == loss
        assert vars(again) == vars(loss)
        assert again(z + 5, t) == loss(z + 5, t)


def test_parameters_are_attributes(configured):
    case, parameters = configured
    loss = build(case, parameters)
    for name, value in loss.parameters.items():
        assert np.array_equal(getattr(loss, name), value)
    assert loss.get_params() == loss.get_params(deep=False)
    assert loss.get_params().keys() == loss.parameters.keys()
    with pytest.raises(AttributeError, match=f"'{case.constructor}' object has no attribute 'strength'"):
        _ = loss.strength


def test_replace(configured):
    case, parameters = configured
    loss = build(case, {})
    before = repr(loss)
    assert loss.replace(**parameters) == build(case, parameters)
    assert loss.replace() == loss
    assert repr(loss) == before
    with pytest.raises(TypeError, match="strength"):
        loss.replace(strength=1.0)


def test_clone_of_scikit_learn(configured):
    clone = pytest.importorskip("sklearn.base").clone
    case, parameters = configured
    loss = build(case, parameters)
    assert clone(loss) == loss


def test_a_loss_is_not_initialised_again():
    loss = fl.Huber(delta=1.5)
    with pytest.raises(TypeError, match="Huber objects are immutable"):
        loss.__init__(delta=2.0)
    assert loss.delta == 1.5
