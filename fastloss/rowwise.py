"""Row functions of logits (log-softmax, softmax, logsumexp) and their pointwise relatives (sigmoid, log-sigmoid)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _kernels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["log_sigmoid", "log_softmax", "logsumexp", "sigmoid", "softmax"]


def log_softmax(x: ArrayLike, axis: int = -1, out: NDArray[Any] | None = None) -> Any:
    """
    Logarithm of the softmax along an axis.

    With M the largest entry of a row and R the sum of exp(x_k - x_M) over all *other* entries:

        log_softmax(x)_k = (x_k - x_M) - log1p(R)

    Leaving the largest entry out of R keeps the tail: at a margin of 17 in float32 the largest
    entry's log-probability is -4.1e-8 and not 0.

    Parameters
    ----------
    x : array_like
        Logits of any shape; float64, float32, float16 or bfloat16. Other numbers are read as float64.
    axis : int, default -1
        The axis of the classes.
    out : ndarray, optional
        Where to write: the shape and dtype of `x`, any strides; `x` itself is fine.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, dtype and memory order of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers, `axis` not an integer, or `out` not such an array.
    ValueError
        If `axis` does not exist, or `out` has another shape or is read-only.

    Notes
    -----
    A nan gives nan for its row only. An entry of -inf is a class of probability 0, one +inf a class
    of probability 1; two of +inf, or a row of nothing but -inf, give nan.

    References
    ----------
    P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax
    functions", IMA J. Numer. Anal. 41 (2021), https://doi.org/10.1093/imanum/draa038

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.log_softmax([[0.0, 0.0], [0.0, -40.0]])
    array([[-6.93147181e-01, -6.93147181e-01],
           [-4.24835426e-18, -4.00000000e+01]])
    """
    return _kernels.row_function("log_softmax", x, axis, out)


def softmax(x: ArrayLike, axis: int = -1, out: NDArray[Any] | None = None) -> Any:
    """
    Softmax along an axis: exp(x_k) divided by its sum.

    Computed as exp(x_k - max x) / sum_j exp(x_j - max x), which cannot overflow.

    Parameters
    ----------
    x : array_like
        Logits of any shape; float64, float32, float16 or bfloat16. Other numbers are read as float64.
    axis : int, default -1
        The axis of the classes.
    out : ndarray, optional
        Where to write: the shape and dtype of `x`, any strides; `x` itself is fine.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, dtype and memory order of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers, `axis` not an integer, or `out` not such an array.
    ValueError
        If `axis` does not exist, or `out` has another shape or is read-only.

    Notes
    -----
    Entries of nan and +-inf are treated as in `log_softmax`.

    References
    ----------
    P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax
    functions", IMA J. Numer. Anal. 41 (2021), https://doi.org/10.1093/imanum/draa038

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.softmax([0.0, 0.0, 1000.0, 1000.0])
    array([0. , 0. , 0.5, 0.5])
    """
    return _kernels.row_function("softmax", x, axis, out)


def logsumexp(x: ArrayLike, axis: int = -1, out: NDArray[Any] | None = None) -> Any:
    """
    Logarithm of the sum of exponentials along an axis.

    With M the largest entry of a row and R the sum of exp(x_k - x_M) over all other entries:

        logsumexp(x) = x_M + log1p(R)

    Parameters
    ----------
    x : array_like
        Logits of any shape; float64, float32, float16 or bfloat16. Other numbers are read as float64.
    axis : int, default -1
        The axis to sum over.
    out : ndarray, optional
        Where to write: the shape of `x` without `axis`, the dtype of `x`, any strides.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape of `x` without `axis`.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers, `axis` not an integer, or `out` not such an array.
    ValueError
        If `axis` does not exist, or `out` has another shape or is read-only.

    Notes
    -----
    The sum of nothing is 0, its logarithm -inf: so for rows of nothing but -inf, and for an axis of
    length 0.

    References
    ----------
    P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax
    functions", IMA J. Numer. Anal. 41 (2021), https://doi.org/10.1093/imanum/draa038

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.logsumexp([[0.0, 0.0], [1000.0, 0.0]])
    array([6.93147181e-01, 1.00000000e+03])
    """
    return _kernels.row_function("logsumexp", x, axis, out)


def sigmoid(x: ArrayLike, out: NDArray[Any] | None = None) -> Any:
    """
    Logistic sigmoid, 1 / (1 + exp(-x)).

    With e = exp(-abs(x)) it is 1 / (1 + e) for x >= 0 and e / (1 + e) for x < 0: no overflow, and
    all digits in both tails.

    Parameters
    ----------
    x : array_like
        Any shape; float64, float32, float16 or bfloat16. Other numbers are read as float64.
    out : ndarray, optional
        Where to write: the shape and dtype of `x`, any strides; `x` itself is fine.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, dtype and memory order of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers, or `out` not such an array.
    ValueError
        If `out` has another shape or is read-only.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.sigmoid([-800.0, 0.0, 800.0])
    array([0. , 0.5, 1. ])
    """
    return _kernels.unary("sigmoid", x, out)


def log_sigmoid(x: ArrayLike, out: NDArray[Any] | None = None) -> Any:
    """
    Logarithm of the logistic sigmoid, -log(1 + exp(-x)).

    Computed as min(x, 0) - log1p(exp(-abs(x))), which keeps all digits in both tails.

    Parameters
    ----------
    x : array_like
        Any shape; float64, float32, float16 or bfloat16. Other numbers are read as float64.
    out : ndarray, optional
        Where to write: the shape and dtype of `x`, any strides; `x` itself is fine.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, dtype and memory order of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers, or `out` not such an array.
    ValueError
        If `out` has another shape or is read-only.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.log_sigmoid([-800.0, 0.0, 40.0])
    array([-8.00000000e+02, -6.93147181e-01, -4.24835426e-18])
    """
    return _kernels.unary("log_sigmoid", x, out)
