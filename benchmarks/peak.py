"""Print how many bytes one call needs beyond its inputs and outputs: python peak.py KERNEL OUTPUTS ROWS [CLASSES].

A process of its own, which holds nothing but these arrays.
"""

from __future__ import annotations

import sys

from fastloss._bench.cases import LOSSES, Case, make_problem, our_call
from fastloss._bench.memory import peak_of


def main(kernel: str, outputs: str, *shape: str) -> None:
    """Warm up on a tenth of the rows, so that the threads exist; then call once and look."""
    rows, *classes = map(int, shape)
    want = "value+gradient" if kernel in LOSSES else "array"
    case = Case("memory", kernel, (rows, *classes), want=want, outputs=outputs)
    our_call(make_problem(case.smaller(10)))()
    problem = make_problem(case)
    results = problem.out.nbytes if outputs == "fresh" else 0
    print(peak_of(our_call(problem)) - results)


if __name__ == "__main__":
    main(*sys.argv[1:])
