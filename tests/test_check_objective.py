"""`check_objective` finds what is wrong in hand-written objectives, and finds nothing in right ones."""

import functools
import importlib

import numpy as np
import pytest

import fastloss as fl

rng = np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def stable_sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def logistic(z, y, weight=None):
    p, w = stable_sigmoid(z), 1.0 if weight is None else weight
    return w * (p - y), w * np.maximum(p * (1 - p), 1e-16)


def multinomial(z, y):
    p = softmax(z)
    return p - (np.arange(z.shape[1]) == y[:, None]), p * (1 - p)


# --------------------------------------------------------------------- right ones

RIGHT = {
    "logistic": (logistic, {}),
    "logistic, LightGBM": (lambda y_true, y_pred, weight: logistic(y_pred, y_true, weight), {}),
    "logistic, XGBoost": (lambda y_true, y_pred, sample_weight=None: logistic(y_pred, y_true, sample_weight), {}),
    "logistic, native": (
        lambda preds, train_data: logistic(preds, train_data.get_label(), train_data.get_weight()),
        {},
    ),
    "logistic, unweighted": (lambda y_true, y_pred: logistic(y_pred, y_true), {"weighted": False}),
    "squared error": (lambda z, y: (z - y, np.ones_like(z)), {"target": rng.normal(size=100)}),
    "Poisson": (lambda z, y: (np.exp(z) - y, np.exp(z)), {"loss": fl.Poisson()}),
    "multinomial": (multinomial, {"n_classes": 4}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_in_a_right_one(name):
    fn, options = RIGHT[name]
    report = fl.check_objective(fn, **options)
    assert report.ok, report
    assert not report.findings, report


@pytest.mark.parametrize("curvature", ["exact", "psd", "majorize"])
def test_no_error_in_a_loss_of_ours(few_setup, curvature):
    loss = few_setup.build(3 if few_setup.case.rowwise else None)
    report = fl.check_objective(
        lambda z, y: loss.gradient_and_hessian(z, y, reduction="none", curvature=curvature), loss
    )
    assert report.ok, report
    assert {finding.check for finding in report.findings} <= {"hessian", "large scores"}, report


OURS = [loss for loss in fl.losses() if loss().kind in ("pointwise", "rowwise")]


@pytest.mark.parametrize("booster", ["lightgbm", "xgboost", "catboost"])
@pytest.mark.parametrize("loss", OURS, ids=lambda loss: loss.__name__)
def test_no_error_in_an_objective_of_ours(loss, booster):
    """As each booster calls it, which is told by its arguments or methods, or said."""
    pytest.importorskip(booster)
    objective = importlib.import_module(f"fastloss.{booster}").objective
    for curvature, signature in (("auto", "auto"), ("exact", booster)):
        report = fl.check_objective(objective(loss(), curvature), loss(), signature=signature)
        assert report.ok, report
        assert {finding.check for finding in report.findings} <= {"hessian", "large scores"}, report
        assert "weights" in report.checks


class Ascending:
    """As CatBoost wants it."""

    def calc_ders_range(self, approxes, targets, weights):
        g, h = logistic(np.array(approxes), np.asarray(targets), None if weights is None else np.asarray(weights))
        return list(zip(-g, -h, strict=True))


class AscendingRows:
    def calc_ders_multi(self, approxes, target, weight):
        p = softmax(np.array([approxes]))[0]
        return weight * ((np.arange(len(p)) == target) - p), -weight * (np.diag(p) - np.outer(p, p))


def test_catboost():
    assert not fl.check_objective(Ascending()).findings
    assert not fl.check_objective(AscendingRows(), n_classes=3).findings

    class Descending(Ascending):
        def calc_ders_range(self, approxes, targets, weights):
            return [(-g, -h) for g, h in super().calc_ders_range(approxes, targets, weights)]

    report = fl.check_objective(Descending())
    assert ("gradient", "sign") in [
        (each.check, "sign" if "wrong sign" in each.message else "") for each in report.findings
    ]


# --------------------------------------------------------------------- wrong ones


def clipped(z, y, epsilon=0.01):
    p = np.clip(stable_sigmoid(z), epsilon, 1 - epsilon)
    return p - y, p * (1 - p)


def clipped_softmax(z, y):
    p = np.clip(softmax(z), 0.01, 0.99)
    return p - (np.arange(z.shape[1]) == y[:, None]), p * (1 - p)


@pytest.mark.parametrize("loss", [None, fl.BinaryCrossEntropy()])
def test_probabilities_that_are_clipped(loss):
    report = fl.check_objective(clipped, loss)
    assert not report.ok
    assert "stays at 0.01" in str(report)
    assert not fl.check_objective(clipped_softmax, n_classes=3).ok
    # What nobody will ever notice, and what is worth a word.
    assert not fl.check_objective(functools.partial(clipped, epsilon=1e-12), loss).findings
    (finding,) = fl.check_objective(functools.partial(clipped, epsilon=1e-5), loss).findings
    assert (finding.severity, finding.check) == ("warning", "confident scores")


def test_exponents_that_are_clipped():
    def objective(z, y):
        mean = np.exp(np.minimum(z, 3))
        return mean - y, mean

    report = fl.check_objective(objective, fl.Poisson())
    assert [finding.check for finding in report.findings] == ["gradient"]
    assert "clipped?" in str(report)


def in_probability(z, y):
    p = sigmoid(z)
    return (p - y) / (p * (1 - p)), y / p**2 + (1 - y) / (1 - p) ** 2


def focal_without_curvature_of_positives(preds, dtrain, gamma=2.0):
    """The gradient is right; in the Hessian of positives, (1 - y) ** gamma stands where (1 - p) ** gamma should."""
    y, p = dtrain.get_label(), np.clip(sigmoid(preds), 1e-15, 1 - 1e-15)
    g = y * (1 - p) ** gamma * (gamma * p * np.log(p) + p - 1)
    g += (1 - y) * p**gamma * (p - gamma * np.log(1 - p) * (1 - p))
    h = (
        y
        * p
        * (1 - y) ** gamma
        * (gamma * (1 - p) * np.log(p) + 2 * gamma * (1 - p) - gamma**2 * p * np.log(p) + 1 - p)
    )
    h += (1 - y) * p ** (gamma + 1) * (1 - p) * (2 * gamma + gamma * np.log(1 - p) + 1)
    return g, h


def focal_by_differences(z, y, dx=1e-6):
    """The second difference with a step of 1e-6 has no digits left."""

    def value(x):
        p = sigmoid(x)
        return -((1 - (y * p + (1 - y) * (1 - p))) ** 2) * (y * np.log(p) + (1 - y) * np.log(1 - p))

    return (value(z + dx) - value(z - dx)) / (2 * dx), (value(z + dx) - 2 * value(z) + value(z - dx)) / dx**2


def score_as_probability(z, y):
    return (z - y) / (z * (1 - z)), y / z**2 + (1 - y) / (1 - z) ** 2


def logarithm_of_score(z, y):
    return -y * np.log(z) - (1 - y) * np.log(1 - z), np.ones_like(z)


def clipped_score(z, y):
    p = np.clip(z, 1e-15, 1 - 1e-15)
    return p - y, p * (1 - p)


def misread_memory(z, y):
    """What was right when LightGBM handed over flat arrays."""
    p = softmax(np.reshape(z.ravel("A"), (-1, z.shape[1]), order="F"))
    g, h = p - (np.arange(z.shape[1]) == y[:, None]), p * (1 - p)
    return g, h


def naive_focal(z, y):
    p = sigmoid(z)
    g, h = fl.BinaryFocal().gradient_and_hessian(z, y, reduction="none", curvature="psd")
    return np.where(y > 0, (1 - p) ** 2 * (2 * p * np.log(p) + p - 1), p**2 * (p - 2 * np.log(1 - p) * (1 - p))), h


def into_its_input(z, y):
    z -= y
    return z, np.ones_like(z)


def scaled(gradient=1.0, hessian=1.0):
    def objective(z, y):
        g, h = logistic(z, y)
        return gradient * g, hessian * h

    return objective


REAL = rng.normal(size=100)

WRONG = {  # name: objective, options, check, words
    "derivative in p": (in_probability, {}, "hessian", "respect to the probability"),
    "gradient in p": (
        in_probability,
        {"loss": fl.BinaryCrossEntropy()},
        "gradient",
        "respect to the probability",
    ),
    "no curvature of positives": (
        focal_without_curvature_of_positives,
        {},
        "hessian",
        "0 for all rows with target 1",
    ),
    "by differences": (focal_by_differences, {}, "hessian", "slope of the gradient"),
    "LightGBM without weights": (
        lambda y_true, y_pred: logistic(y_pred, y_true),
        {},
        "weights",
        "LightGBM ignores",
    ),
    "XGBoost without weights": (
        lambda y_true, y_pred: logistic(y_pred, y_true),
        {"signature": "xgboost", "weighted": True},
        "weights",
        "sample_weight",
    ),
    "weights ignored": (lambda z, y, weight: logistic(z, y), {}, "weights", "ignores"),
    "weights twice": (lambda z, y, w: logistic(z, y, w * w), {}, "weights", "twice"),
    "weights of the gradient alone": (
        lambda z, y, w: (logistic(z, y, w)[0], logistic(z, y)[1]),
        {},
        "weights",
        "Hessian ignores",
    ),
    "weights must be there": (
        lambda y_true, y_pred, weight: logistic(y_pred, y_true, weight * 1.0),
        {},
        "weights",
        "None",
    ),
    "raw score for probability": (score_as_probability, {}, "probability", "pole"),
    "logarithm of the raw score": (logarithm_of_score, {}, "probability", "not finite"),
    "clipped raw score": (clipped_score, {}, "probability", "constant"),
    "p (1 - p) of the raw score": (lambda z, y: (z - y, z * (1 - z)), {}, "hessian", "raw score in the place"),
    "ascent": (lambda z, y: tuple(-x for x in logistic(z, y)), {}, "gradient", "wrong sign"),
    "sign of the Hessian": (scaled(1, -1), {}, "hessian", "wrong sign"),
    "arguments exchanged": (lambda a, b: logistic(b, a), {}, "gradient", ""),
    "half of the Hessian": (scaled(1, 0.5), {}, "hessian", "0.5 times"),
    "mean": (
        lambda z, y: tuple(x / len(z) for x in logistic(z, y)),
        {},
        "rows",
        "divided by the number of rows",
    ),
    "scale of the gradient": (scaled(3, 3), {"loss": fl.BinaryCrossEntropy()}, "gradient", "3 times"),
    "scale against a sum": (
        scaled(3, 3),
        {"loss": lambda z, y: np.sum(np.logaddexp(0, z) - y * z)},
        "gradient",
        "3 times",
    ),
    "another loss": (logistic, {"loss": fl.SquaredHinge()}, "gradient", "slope of the loss"),
    "nan far out": (naive_focal, {}, "large scores", "nan"),
    "memory order": (misread_memory, {"n_classes": 3}, "memory order", "memory order"),
    "gradient of no loss": (
        lambda z, y: (softmax(z) * (1 + np.arange(3)) - (np.arange(3) == y[:, None]), np.ones(z.shape)),
        {"n_classes": 3},
        "gradient",
        "of no loss",
    ),
    "writes into its input": (into_its_input, {"target": REAL}, "inputs", "writes into"),
    "depends on other rows": (
        lambda z, y: (z - y - np.mean(z), np.ones_like(z)),
        {"target": REAL},
        "rows",
        "rows beside",
    ),
    "returns one array": (lambda z, y: z - y, {}, "call", "must return a gradient and a Hessian"),
    "returns a scalar": (lambda z, y: (z - y, 1.0), {}, "call", "shape ()"),
    "flat": (lambda z, y: tuple(x.ravel() for x in multinomial(z, y)), {"n_classes": 3}, "call", "(n, K)"),
    "raises": (lambda z, y: 1 / 0, {}, "call", "ZeroDivisionError"),
}

MILDER = {
    "negative curvature": (
        lambda z, y: fl.BinaryFocal().gradient_and_hessian(z, y, reduction="none"),
        {},
        "warning",
        "negative",
    ),
    "XGBoost's factor": (
        lambda z, y: (multinomial(z, y)[0], 2 * multinomial(z, y)[1]),
        {"n_classes": 3},
        "note",
        "XGBoost",
    ),
    "LightGBM's factor": (
        lambda z, y: (multinomial(z, y)[0], 1.5 * multinomial(z, y)[1]),
        {"n_classes": 3},
        "note",
        "LightGBM",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_finds_what_is_wrong(name):
    fn, options, check, words = WRONG[name]
    report = fl.check_objective(fn, **options)
    assert not report.ok
    found = [each.message for each in report.findings if (each.severity, each.check) == ("error", check)]
    assert any(words in message for message in found), report
    assert all(each.message in str(report) for each in report.findings)


@pytest.mark.parametrize("name", MILDER)
def test_says_what_one_should_know(name):
    fn, options, severity, words = MILDER[name]
    report = fl.check_objective(fn, **options)
    assert report.ok
    ((found, check, message),) = report.findings
    assert (found, check) == (severity, "hessian")
    assert words in message


def test_prints_itself(capsys):
    print(fl.check_objective(functools.partial(logistic)))
    assert capsys.readouterr().out == (
        "objective logistic(z, y, weight): no error\n"
        "  passed   call, rows, inputs, gradient, hessian, large scores, confident scores, probability, weights\n"
    )


def test_errors_come_first():
    report = fl.check_objective(naive_focal, loss=fl.Hinge())
    severities = [each.severity for each in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((3,), {}, TypeError, "callable"),
        ((logistic,), {"signature": "torch"}, ValueError, "signature"),
        ((logistic,), {"signature": "catboost"}, TypeError, "calc_ders_range"),
        ((multinomial,), {"n_classes": 1}, ValueError, "n_classes"),
        ((multinomial,), {"n_classes": 3, "target": [0, 5]}, ValueError, "0 to 2"),
        ((logistic,), {"target": [np.nan]}, ValueError, "target"),
        ((logistic,), {"target": []}, ValueError, "target"),
    ],
)
def test_bad_arguments(arguments, options, error, words):
    with pytest.raises(error, match=words):
        fl.check_objective(*arguments, **options)


@pytest.mark.parametrize("loss", [loss() for loss in fl.losses()], ids=lambda loss: loss.name)
def test_every_loss_passes(loss):
    """With any curvature, several numbers a row among them, and where a curvature is infinite at a tie."""
    if loss.kind in ("setwise", "segments"):
        return
    for curvature in loss.curvatures:

        def objective(z, y, weight=None, curvature=curvature):
            w = None if weight is None else weight
            return loss.gradient_and_hessian(z, y, sample_weight=w, reduction="sum", curvature=curvature)

        report = fl.check_objective(objective, loss)
        assert report.ok, f"{curvature}: {report}"


def test_wrong_derivatives_of_several_numbers_a_row():
    loss = fl.GaussianNLL()

    def wrong(z, y):
        gradient, hessian = loss.gradient_and_hessian(z, y, reduction="none", curvature="psd")
        return gradient * [1, -1], hessian

    (finding,) = fl.check_objective(wrong, loss).findings
    assert finding.check == "gradient"
    assert "class 1" in finding.message
