"""Coefficients between bounds: optimality, the quadratic model in a box, and barriers for losses with kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

# Beside a diagonal of ones: what classes have in common may make no difference.
RIDGE = 1e-9
MOST_ROUNDS = 100

Bounds = tuple[np.ndarray, np.ndarray]


def smallest_subgradient(
    theta: np.ndarray, gradient: np.ndarray, l1: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """
    The slope of the steepest way down along each coordinate that stays between the bounds, or 0 where there is none.

    To the right the slope is the smooth part's plus l1 (minus l1 where theta < 0), and to the left accordingly. At the
    minimum neither points down: these are the projected optimality conditions.
    """
    right = gradient + np.where(theta >= 0, l1, -l1)
    left = gradient + np.where(theta > 0, l1, -l1)
    falls_right = (right < 0) & (theta < high)
    falls_left = (left > 0) & (theta > low)
    return np.asarray(np.where(falls_right, right, np.where(falls_left, left, 0.0)))


def boxed(matrix: np.ndarray, linear: np.ndarray, l1: np.ndarray, bounds: Bounds, x: np.ndarray) -> np.ndarray:
    """
    Return the x between the bounds that minimises x' matrix x / 2 - linear' x + sum l1 abs(x).

    A round of coordinate descent finds out which coordinates stay at a bound or at 0, and Newton's step the others. All
    in coordinates in which the matrix has a diagonal of ones.
    """
    diagonal = np.einsum("ii->i", matrix)
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    matrix = matrix / root[:, None] / root
    np.einsum("ii->i", matrix)[:] = 1 + RIDGE
    linear, l1 = linear / root, l1 / root
    low, high = bounds[0] * root, bounds[1] * root
    x = np.clip(x * root, low, high)
    slack = 1e-13 * (np.max(np.abs(linear)) + np.max(l1))
    product = matrix @ x
    for _ in range(MOST_ROUNDS):
        _round(matrix, linear, l1, low, high, x, product)
        x = _face(matrix, linear, l1, low, high, x, product - linear)
        product = matrix @ x
        if np.all(np.abs(smallest_subgradient(x, product - linear, l1, low, high)) <= slack):
            break
    return np.clip(x / root, *bounds)


def _round(
    matrix: np.ndarray,
    linear: np.ndarray,
    l1: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    x: np.ndarray,
    product: np.ndarray,
) -> None:
    """One round of coordinate descent, in place."""
    for j in range(len(x)):
        pull = linear[j] - product[j] + matrix[j, j] * x[j]
        size = max(abs(pull) - l1[j], 0.0) / matrix[j, j]
        new = min(max(size if pull > 0 else -size, low[j]), high[j])
        if new != x[j]:
            product += matrix[j] * (new - x[j])
            x[j] = new


def _face(
    matrix: np.ndarray,
    linear: np.ndarray,
    l1: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    x: np.ndarray,
    gradient: np.ndarray,
) -> np.ndarray:
    """Return the minimum over the coordinates that are at no bound and not at 0, or as far on the way as signs hold."""
    free = np.flatnonzero((x > low) & (x < high) & ((x != 0) | (l1 == 0)))
    if not len(free):
        return x
    try:
        factor = cho_factor(matrix[np.ix_(free, free)], lower=True, check_finite=False)
    except LinAlgError:
        return x
    step = cho_solve(factor, -(gradient[free] + l1[free] * np.sign(x[free])), check_finite=False)
    # Coordinates may go to the next bound or to 0, whichever comes first.
    nearest = np.where((l1[free] > 0) & (x[free] > 0), np.maximum(low[free], 0.0), low[free])
    farthest = np.where((l1[free] > 0) & (x[free] < 0), np.minimum(high[free], 0.0), high[free])
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step < 0, (nearest - x[free]) / step, np.where(step > 0, (farthest - x[free]) / step, np.inf))
    share = min(1.0, float(np.min(room)))
    moved = x.copy()
    moved[free] = np.clip(x[free] + share * step, nearest, farthest)
    first = room <= share
    moved[free[first]] = np.where(step[first] < 0, nearest[first], farthest[first])
    return moved


def clipped(theta: np.ndarray, bounds: Bounds | None) -> np.ndarray:
    """Theta between the bounds, if there are any."""
    return theta if bounds is None else np.asarray(np.clip(theta, *bounds))


def ranges(bounds: Bounds | None, factor: np.ndarray, free: np.ndarray, split: bool) -> Any:
    """
    Return the least and the largest value of each variable of L-BFGS-B, or None.

    Variables are theta times `factor`; if `split` the part of theta above 0 and that below, but where it is `free` of a
    penalty all of it comes first and 0 is second.
    """
    if bounds is None and not split:
        return None
    low, high = (np.full(factor.shape, -np.inf), np.full(factor.shape, np.inf)) if bounds is None else bounds
    low, high = (low * factor).ravel(), (high * factor).ravel()
    if split:
        below, above = np.where(free, 0.0, np.maximum(-high, 0.0)), np.where(free, 0.0, np.maximum(-low, 0.0))
        low, high = np.where(free, low, np.maximum(low, 0.0)), np.where(free, high, np.maximum(high, 0.0))
        low, high = np.concatenate([low, below]), np.concatenate([high, above])
    return np.column_stack([low, high])


class Box:
    """
    Bounds as barriers of interior points, beside the sums of absolute values of `_interior`.

    Slacks s = theta - low and high - theta are positive, and so are the dual variables v, the forces of the bounds. At
    the minimum s v = 0, on the way all of these products are about the same.
    """

    ds: np.ndarray
    dv: np.ndarray

    def __init__(self, weight: float, scale: float, bounds: Bounds, theta: np.ndarray) -> None:
        """`weight`: the size of derivatives, `scale` that of theta, which lies strictly between the bounds."""
        self.weight, self.scale, self.bounds = weight, scale, bounds
        self.sign = np.array([1.0, -1.0]).reshape(2, 1, 1)
        distance = np.stack([theta - bounds[0], bounds[1] - theta]) / scale
        self.live = np.isfinite(distance)
        self.s, self.v = np.where(self.live, distance, 1.0), 1.0 * self.live

    @staticmethod
    def inside(theta: np.ndarray, bounds: Bounds, scale: float) -> np.ndarray:
        """The point between the bounds nearest to theta that is at a distance from them."""
        low, high = bounds
        room = np.minimum(0.1 * scale, 0.25 * (high - low))
        return np.asarray(np.clip(theta, low + room, high - room))

    def at(self) -> np.ndarray:
        """Begin a step; return the curvature by theta."""
        return np.asarray(self.weight / self.scale * np.sum(self.v / self.s, axis=0))

    def aim(self, goal: float, corrected: bool) -> np.ndarray:
        """As for absolute values."""
        self.goal = self.live * (goal - (self.ds * self.dv if corrected else 0.0))
        return np.asarray(-self.weight * np.sum(self.sign * self.goal / self.s, axis=0))

    def move(self, dr: np.ndarray) -> float:
        """As for absolute values."""
        self.ds = self.live * self.sign * (dr / self.scale)
        self.dv = (self.goal - self.v * self.ds) / self.s - self.v
        falls_s, falls_v = self.live & (self.ds < 0), self.live & (self.dv < 0)
        of_s = np.min(self.s[falls_s] / -self.ds[falls_s], initial=1e300)
        return float(np.min(self.v[falls_v] / -self.dv[falls_v], initial=of_s))

    def products(self, share: float) -> float:
        """As for absolute values."""
        products = (self.s + share * self.ds) * (self.v + share * self.dv)
        return self.weight * self.scale * float(np.sum(products[self.live]))

    def make(self, share: float) -> None:
        """As for absolute values."""
        self.s += share * self.ds
        self.v += share * self.dv
        self.ds = self.dv = np.zeros(self.s.shape)

    @property
    def force(self) -> np.ndarray:
        """What the bounds add to the gradient."""
        return np.asarray(-self.weight * np.sum(self.sign * self.v, axis=0))

    @property
    def total(self) -> float:
        """The weight of all products."""
        return self.weight * self.scale * float(np.count_nonzero(self.live))

    @property
    def gap(self) -> float:
        """How far the objective is above the least that the dual variables allow, on their account."""
        return self.weight * self.scale * float(np.sum((self.s * self.v)[self.live]))

    def rounded(self, theta: np.ndarray) -> np.ndarray:
        """Theta, at a bound where the distance from it tends to 0."""
        at_bound = self.live & (self.s < self.v)
        theta = np.where(at_bound[0], self.bounds[0], theta)
        return np.asarray(np.where(at_bound[1], self.bounds[1], theta))
