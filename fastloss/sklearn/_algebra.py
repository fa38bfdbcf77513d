"""Factorisation of symmetric matrices whose rows have units of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular

# What is added to a diagonal of ones, relative to rounding, and the factor from one attempt to the next.
ADDED, MORE = 4.0, 10.0


class Factor:
    """
    The Cholesky factor of a symmetric matrix with its diagonal scaled to ones.

    So a row of small numbers weighs as much as one of large numbers, and what has to be added to the diagonal to make
    the matrix positive definite is small beside every row. A row of zeros is left out.
    """

    def __init__(self, matrix: np.ndarray, attempts: int = 16) -> None:
        """Raise LinAlgError for what is not finite, or not positive definite after so many attempts."""
        diagonal = np.einsum("ii->i", matrix)
        if not np.all(np.isfinite(matrix)) or np.any(diagonal < 0):
            raise LinAlgError("the matrix has elements that are not finite, or a negative diagonal")
        if np.any(matrix[diagonal == 0]):
            raise LinAlgError("the matrix is not positive definite: the diagonal of a row that is not zero is 0")
        self.root = root = np.sqrt(diagonal)
        self.inverse_root = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
        scaled = self.inverse_root[:, None] * matrix * self.inverse_root
        added = ADDED * float(np.finfo(scaled.dtype).eps)
        for _ in range(attempts):
            np.einsum("ii->i", scaled)[:] = 1.0 + added
            try:
                self.lower = np.tril(cho_factor(scaled, lower=True, check_finite=False)[0])
                return
            except LinAlgError:
                added *= MORE
        raise LinAlgError("the matrix is not positive definite")

    def solve(self, right: np.ndarray) -> Any:
        """The x for which matrix @ x is `right`, a vector."""
        return self.inverse_root * cho_solve((self.lower, True), self.inverse_root * right, check_finite=False)

    def from_coordinates(self, v: np.ndarray) -> Any:
        """The x of coordinates v, columns, in which the matrix is the identity."""
        x = solve_triangular(self.lower, v, lower=True, trans="T", check_finite=False)
        return self.inverse_root[:, None] * x

    def to_coordinates(self, x: np.ndarray) -> Any:
        """The coordinates of x."""
        return self.lower.T @ (self.root[:, None] * x)

    def gradient(self, g: np.ndarray) -> Any:
        """The gradient by the coordinates of a gradient by x."""
        return solve_triangular(self.lower, self.inverse_root[:, None] * g, lower=True, check_finite=False)
