"""What a loss says of itself to those who train models with it, beside what its kernels say."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Traits(NamedTuple):
    """
    What is true of a loss, whatever its parameters.

    Attributes
    ----------
    link : {"identity", "log", "sigmoid", "softmax", "margin", "columns"}
        What raw scores are to the mean of the target; "margin" if they stand for none, "columns" if each has a meaning
        of its own.
    has_kinks : bool
        Whether the gradient jumps: solvers round the loss, and let the rounding go to 0.
    bend : str, optional
        The parameter beyond which a loss of the residual grows slowly, so that there is little curvature to go by; ""
        if that is 1. None for all others.
    boosting : {"psd", "majorize", "fisher"}
        The curvature that boosting trains best with (benchmarks/curvature.py): "majorize" where psd falls off faster
        than the gradient far from the target, or is next to nothing for some targets; "fisher", the natural gradient,
        of the parameters of a distribution.
    refits_leaves : bool
        Whether it has so little curvature that a grown tree's leaves are set to the best constants.
    fisher : {"exact", "own"}, optional
        Of a likelihood, what its expected curvature is: the exact one, where no curvature depends on the target, or one
        of its own. None for all others.
    """

    link: Literal["identity", "log", "sigmoid", "softmax", "margin", "columns"]
    has_kinks: bool = False
    bend: str | None = None
    boosting: Literal["psd", "majorize", "fisher"] = "psd"
    refits_leaves: bool = False
    fisher: Literal["exact", "own"] | None = None
