"""
A fit reaches the minimum, or says that it does not: every loss and penalty on the kinds of data that people bring.

The referee shares nothing with the solvers but the losses' text-book twins, which it evaluates in extended precision:
it starts from the fit and looks for something lower, by Newton's method on explicitly standardised columns, one
coordinate after the other where there is an L1 norm, and through rounded kinks of falling width where there are kinks.
"""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from scipy.linalg import lstsq
from sklearn.exceptions import ConvergenceWarning

import fastloss as fl
from fastloss import reference
from fastloss._resolve import resolve
from fastloss.sklearn import LossClassifier, LossRegressor

# Ordered classes have a model of their own, and a linear prediction may lie below the -1 of SquaredLogError.
OWN = (fl.CumulativeLogit, fl.SquaredLogError)
LOSSES = [loss() for loss in fl.losses() if loss().kind in ("pointwise", "rowwise") and loss not in OWN]
# A target of 0 would outweigh all others.
LOSSES[LOSSES.index(fl.AbsolutePercentageError())] = fl.AbsolutePercentageError(epsilon=0.5)
CLOSENESS = 1e-6
PENALTIES = {None: (0.0, 0.0), "l2": (0.0, 1.0), "l1": (1.0, 0.0), "elasticnet": (0.5, 0.5)}
KINKS = {"AbsoluteError", "AbsolutePercentageError", "Quantile", "EpsilonInsensitive", "Hinge", "MulticlassHinge"}
# Of several minima the fit has to be one.
NOT_CONVEX = {"Focal", "BinaryFocal", "Brier", "Poly1", "GeneralizedCrossEntropy", "Cauchy", "Tukey"}
LONG = np.longdouble


def of_labels(loss):
    return loss.target_domain == "unit interval"


def by_row(loss):
    return hasattr(loss, "packed_hessian") or isinstance(loss, fl.MulticlassHinge)


# ------------------------------------------------------------------------------------------------------------ data


def data_of(kind, loss, rng, large=1):
    """Features, a target that goes with the loss, weights or None, and what the loss is to be fitted with."""
    n, p = {"wide": (30, 60), "rare": (1000, 4), "rhythm": (300, 4)}.get(kind, (100, 5))
    n *= large
    x = rng.standard_normal((n, p))
    z = x[:, :4] @ np.array([1.0, -0.7, 0.4, 0.0]) + 0.3
    weight = None
    if kind == "uncentred":
        x = x * np.geomspace(1, 100, p) + 1e4 * np.geomspace(1, 100, p)
    elif kind == "scales":
        x = x * np.geomspace(1e-6, 1e9, p)
    elif kind == "repeated":
        x = np.column_stack([x, x[:, 0], 2 * x[:, 1], np.full(n, 3.0), np.zeros(n)])
    elif kind == "zero weights":
        weight = np.zeros(n)
        weight[n // 3 : n // 2] = rng.uniform(0.5, 2, n // 2 - n // 3)
    elif kind == "sparse":
        x[rng.random(x.shape) < 0.7] = 0.0
    noise = rng.standard_normal(n)
    if kind == "separable":
        noise = 0 * noise
    if of_labels(loss):
        y = (z + noise > (3.6 if kind == "rare" else 0)).astype(int)
        if kind == "rhythm":
            y = np.where(np.arange(n) % 6 == 0, 0, y)
    elif loss.target_domain == "any":
        y = 2 * z + (noise if kind != "rare" else np.where(rng.random(n) < 0.002, 100 * noise, noise))
        if kind == "rhythm":
            y[::6] = 0
    else:
        y = rng.poisson(np.exp(0.5 * z - (6 if kind == "rare" else 0))).astype(float)
        if kind == "rhythm":
            y[::6] = 0
        if kind == "rare":
            y[:5] = 1
        if loss.target_domain == "positive":
            y = y + 0.1 if kind != "rare" else y * 100 + 1e-3
    return x, y, weight


DATA = [
    "tame",
    "uncentred",
    "scales",
    "rare",
    "separable",
    "wide",
    "repeated",
    "zero weights",
    "rhythm",
    "sparse",
    "float32",
]


# --------------------------------------------------------------------------------------------------------- referee


class Referee:
    """The objective in extended precision, and the least of it near a fit."""

    def __init__(self, loss, x, y, weight, l1, l2):
        self.loss, self.y = loss, y
        self.x = x.astype(LONG)
        w = np.ones(len(x)) if weight is None else weight
        self.w = (w / w.sum()).astype(LONG)
        self.l1, self.l2 = LONG(l1), LONG(l2)
        centre = self.w @ self.x
        spread = np.sqrt(self.w @ np.square(self.x - centre))
        self.moves = spread > 1e-15 * np.abs(centre)
        self.spread = np.where(self.moves, spread, 1)
        self.centre = centre
        self.u = np.where(self.moves, (self.x - centre) / self.spread, 0)

    def twin(self, z, width=0.0):
        """Value, gradient and Hessian (n,) of scores (n,); kinks are rounded over a width."""
        name = type(self.loss).__name__
        parameters = dict(self.loss.parameters)
        y = self.y.astype(z.dtype)
        if width and name in KINKS:
            if name in ("Hinge", "MulticlassHinge"):
                parts, slope, rest = (
                    [(np.where(y > 0, 1.0, -1.0).astype(z.dtype), 0.5)],
                    np.where(y > 0, -0.5, 0.5),
                    0.5,
                )
            elif name == "EpsilonInsensitive":
                e = parameters["epsilon"]
                parts, slope, rest = [(y - e, 0.5), (y + e, 0.5)], 0.0, -e
            else:
                q = parameters.get("q", 0.5)
                scale = 1.0 if name == "Quantile" else 2.0
                if name == "AbsolutePercentageError":
                    scale = 2 / np.maximum(np.abs(y), parameters["epsilon"])
                parts, slope = [(y, 0.5 * scale)], (0.5 - q) * scale
                rest = -slope * y
            value, gradient, hessian = slope * z + rest, slope + 0 * z, 0 * z
            for kink, height in parts:
                v, g, h = reference.huber(z, kink, delta=width)
                value, gradient, hessian = (
                    value + height * v / width,
                    gradient + height * g / width,
                    hessian + height * h / width,
                )
            return value, gradient, hessian
        twin = getattr(reference, self.loss.name)
        if by_row(self.loss):
            logits = np.stack([np.zeros_like(z), z], axis=1)
            parameters = {
                k: v for k, v in parameters.items() if k not in ("class_weight", "ignore_index") or v is not None
            }
            v, g, h = twin(logits, self.y, **parameters)
            return v, g[:, 1], h[:, 1]
        parameters = {k: v for k, v in parameters.items() if v is not None}
        return twin(z, y, **parameters)

    def objective(self, b, c):
        v, _, _ = self.twin(self.u @ b + c)
        w = b / self.spread
        return (
            float(self.w @ v + self.l1 * np.abs(w).sum() + self.l2 / 2 * (w @ w)) if np.all(np.isfinite(v)) else np.inf
        )

    def of_model(self, model):
        """In the model's own coefficients."""
        w = np.ravel(model.coef_).astype(LONG)
        v, _, _ = self.twin(self.x @ w + LONG(float(np.ravel(model.intercept_)[0])))
        return float(self.w @ v + self.l1 * np.abs(w).sum() + self.l2 / 2 * (w @ w))

    def least(self, model):
        """The least objective that is found from the fit and from a constant."""
        w = np.ravel(model.coef_).astype(LONG)
        at_fit = (
            np.where(self.moves, w, 0) * self.spread,
            LONG(float(np.ravel(model.intercept_)[0])) + self.centre @ w,
        )
        at_constant = (np.zeros(len(w), LONG), LONG(np.clip(float(np.ravel(self.loss_start())[0]), -20, 20)))
        found = []
        has_kinks = type(self.loss).__name__ in KINKS
        alone = has_kinks or type(self.loss).__name__ in NOT_CONVEX
        for b, c in (at_fit,) if alone else (at_fit, at_constant):
            for width in (1e-2, 1e-4, 1e-6, 1e-8) if has_kinks else (0.0,):
                b, c = self.descend(b, c, width, 30)
            found.append(self.objective(b, c))
        return min(found)

    def loss_start(self):
        z = LONG(0)
        if of_labels(self.loss):
            share = float(self.w @ self.y)
            return np.log(share / (1 - share))
        if self.loss.target_domain != "any":
            return np.log(max(float(self.w @ self.y), 1e-300))
        return float(self.w @ self.y) + z

    def descend(self, b, c, width, steps):
        """Newton's method; under an L1 norm on the orthant of the signs that the coordinates have or want."""
        p = len(b)
        # Rounded kinks are no exact science.
        real = float if width else LONG
        b, c, w = b.astype(real), real(c), self.w.astype(real)
        extended = np.column_stack([self.u, np.ones(len(self.u), LONG)]).astype(real)
        l1 = np.append(self.l1 / self.spread, 0).astype(real)
        l2 = np.append(self.l2 / self.spread**2, 0).astype(real)
        moving = np.append(self.moves, True)
        theta = np.append(b, c)

        def objective(theta):
            with np.errstate(over="ignore"):
                v, _, _ = self.twin(extended @ theta, width)
            return float(w @ v + l1 @ np.abs(theta) + l2 @ theta**2 / 2) if np.all(np.isfinite(v)) else np.inf

        value = objective(theta)
        damping = 0.0
        for _ in range(steps):
            _, g, h = self.twin(extended @ theta, width)
            gradient = extended.T @ (w * g) + l2 * theta
            sign = np.where(theta != 0, np.sign(theta), -np.sign(gradient) * (np.abs(gradient) > l1))
            active = moving & ((sign != 0) | (l1 == 0))
            smallest = gradient + l1 * sign
            curved = w * np.maximum(h, 0)
            hessian = (extended[:, active].T * curved) @ extended[:, active] + np.diag(l2[active])
            scale = np.sqrt(np.diag(hessian)) + 1e-30
            matrix = (hessian / scale[:, None] / scale).astype(float)
            matrix[np.diag_indices(len(matrix))] += 1e-13 + damping
            right = (smallest[active] / scale).astype(float)
            step = np.zeros(p + 1, real)
            step[active] = -lstsq(matrix, right, cond=1e-14)[0].astype(real) / scale
            share, better = 1.0, None
            while share > 1e-6:
                trial = theta + share * step
                # Across 0 a coordinate stops there.
                trial = np.where((l1 > 0) & (trial * sign < 0), 0, trial)
                new = objective(trial)
                if new < value:
                    better = trial
                    break
                share /= 2
            if better is None:
                if damping > 100:
                    break
                damping = max(10 * damping, 1e-6)
                continue
            damping /= 10
            done = value - new < 1e-13 * abs(value)
            theta, value = better, new
            if done:
                break
        return theta[:p].astype(LONG), LONG(theta[p])


def judge(loss, penalty, kind, seed=0, large=1, alpha=None):
    """Return how far above the least a fit is, relative to it, and the warnings."""
    rng = np.random.default_rng(seed)
    x, y, weight = data_of(kind, loss, rng, large)
    alpha = {"separable": 1e-5}.get(kind, 1e-3) if alpha is None else alpha
    given = x
    if kind == "float32":
        given = x = x.astype(np.float32)
    if kind == "sparse":
        given = sparse.csr_matrix(x)
    estimator = (LossClassifier if of_labels(loss) else LossRegressor)(loss, penalty=penalty, alpha=alpha)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = estimator.fit(given, y, weight)
    assert all(issubclass(each.category, ConvergenceWarning) for each in caught), [str(c.message) for c in caught]
    l1, l2 = (alpha * share for share in PENALTIES[penalty])
    referee = Referee(loss, x, y, weight, l1, l2)
    found = referee.of_model(model)
    least = min(found, referee.least(model))
    constant = referee.objective(np.zeros(x.shape[1], LONG), LONG(np.clip(float(referee.loss_start()), -20, 20)))
    # Where the minimum is 0, beside what a constant has.
    return (found - least) / (abs(least) + 1e-6 * abs(constant)), [str(c.message) for c in caught], model


EVERY = [(kind, loss, penalty) for kind in DATA for loss in LOSSES for penalty in PENALTIES]
# Each kind of data with a third of the losses, each loss with each penalty somewhere.
SOME = [
    (kind, loss, tuple(PENALTIES)[(i + j // 3) % 4])
    for i, kind in enumerate(DATA)
    for j, loss in enumerate(LOSSES)
    if (i + j) % 3 == 0
]


def name_of(value):
    return getattr(value, "name", str(value))


@pytest.mark.parametrize(("kind", "loss", "penalty"), SOME, ids=name_of)
def test_converged_means_at_the_minimum(kind, loss, penalty):
    excess, said, _ = judge(loss, penalty, kind)
    assert excess <= CLOSENESS or said


@pytest.mark.realistic
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("kind", "loss", "penalty"), EVERY, ids=name_of)
def test_converged_means_at_the_minimum_everywhere(kind, loss, penalty, seed):
    excess, said, _ = judge(loss, penalty, kind, seed, large=3)
    assert excess <= CLOSENESS or said


@pytest.mark.parametrize("kind", ["tame", "uncentred", "scales", "rare", "rhythm", "zero weights"])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_hinge", "huber", "poisson"])
def test_ordinary_data_converge(kind, loss):
    """So that a warning does not become the way out."""
    _, said, _ = judge(resolve(loss), "l2", kind)
    assert not said


def test_the_referee_sees_what_is_not_at_the_minimum():
    loss = fl.CrossEntropy()
    x, y, _ = data_of("uncentred", loss, np.random.default_rng(0))
    model = LossClassifier(loss, alpha=1e-3).fit(x, y)
    referee = Referee(loss, x, y, None, 0.0, 1e-3)
    assert referee.of_model(model) <= referee.least(model) * (1 + CLOSENESS)
    model.coef_ *= 1 + 1e-2
    model.intercept_ *= 1 + 1e-2
    assert referee.of_model(model) > referee.least(model) * (1 + CLOSENESS)
