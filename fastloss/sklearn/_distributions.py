"""What linear models of several numbers a row predict: means, distributions, quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if

import fastloss as fl

from ..combined import LossSum
from ..likelihood import quantiles_of
from ._options import resolve


def meaning(loss: Any) -> Any:
    """Return the loss that says what scores mean: of a sum the first."""
    found = resolve(loss)
    return found.terms[0][1] if isinstance(found, LossSum) else found


class OfDistributions:
    """What `LossRegressor` does under losses of several numbers a row."""

    @property
    def _is_of_columns(self: Any) -> bool:
        return bool(resolve(self.loss).kind == "columns")

    def _predicted(self: Any, scores: np.ndarray) -> np.ndarray:
        loss: Any = meaning(self.loss)
        return np.asarray(loss.mean(scores) if hasattr(loss, "mean") else loss.inverse_link(scores))

    def _loss_of_distribution(self: Any) -> Any:
        loss: Any = meaning(self.loss)
        if not isinstance(loss, fl.AFT) and not hasattr(loss, "distribution"):
            raise AttributeError(f"{loss!r} is not the loss of a distribution, as fastloss.GaussianNLL is")
        return loss

    @available_if(lambda self: self._is_of_columns)  # type: ignore[untyped-decorator, unused-ignore]
    def decision_function(self: Any, X: Any, offset: Any = None) -> np.ndarray:
        """
        Return the scores, under losses of several numbers a row alone: what these take as prediction.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        offset : array_like of shape (n, P), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n, P)
            Such as means and logarithms of scales.
        """
        return np.asarray(self._scores(X, offset))

    def predict_distribution(self: Any, X: Any, offset: Any = None) -> Any:
        """
        Return the distribution of each row's target, of a loss of a distribution's parameters such as `GaussianNLL`.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        offset : array_like of shape (n, P), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        scipy.stats.rv_frozen
            One distribution for each row: ``.mean()``, ``.std()``, ``.ppf(0.9)``, ``.interval(0.8)``.

        Raises
        ------
        AttributeError
            If the loss is not one of a distribution.

        Examples
        --------
        >>> import numpy as np
        >>> from fastloss.sklearn import LossRegressor
        >>> X = np.random.default_rng(0).uniform(-1, 1, (2000, 1))
        >>> y = np.exp(X[:, 0]) * np.random.default_rng(1).normal(size=2000)
        >>> model = LossRegressor("gaussian_nll", penalty=None).fit(X, y)
        >>> model.predict_distribution([[-1.0], [1.0]]).std().round()
        array([0., 3.])
        """
        loss = self._loss_of_distribution()
        if isinstance(loss, fl.AFT):
            return loss.distribution_of(self._time_scores(X, offset))
        return loss.distribution(self._time_scores(X, offset))

    def predict_quantiles(self: Any, X: Any, q: Any, offset: Any = None) -> np.ndarray:
        """
        Return quantiles of each row's target, of a loss of a distribution's parameters.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        q : array_like of shape (Q,)
            Levels, each in (0, 1).
        offset : array_like of shape (n, P), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n, Q)

        Raises
        ------
        AttributeError
            If the loss is not one of a distribution.
        ValueError
            If `q` does not hold levels in (0, 1).
        """
        distribution = self.predict_distribution(X, offset)
        return quantiles_of(distribution, q)

    def _explained(self: Any, X: Any, y: Any, sample_weight: Any, offset: Any) -> float:
        """The share of the loss of the best constant quantiles that those of the model take away."""
        loss: Any = resolve(self.loss)
        y = np.asarray(y, np.float64).reshape(len(y))
        constant = np.broadcast_to(loss.init_score(y, sample_weight), (len(y), len(loss.columns)))
        z = np.asarray(self._scores(X, offset), np.float64)
        least = loss(constant, y, sample_weight=sample_weight)
        return 1.0 - loss(z, y, sample_weight=sample_weight) / least if least else float(loss(z, y) == 0.0)
