"""Print how many bytes one call needs beyond its inputs and outputs: python peak.py KERNEL OUTPUTS ROWS [CLASSES].

A process of its own, for the peak of a process never falls.
"""

from __future__ import annotations

import os
import resource
import sys

from cases import LOSSES, Case, make_problem, our_call


def resident_bytes() -> int:
    """Return the memory this process holds now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Return the most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(kernel: str, outputs: str, *shape: str) -> None:
    """Warm up on a tenth of the rows, so that the threads exist; then call once and look."""
    rows, *classes = map(int, shape)
    want = "value+gradient" if kernel in LOSSES else "array"
    case = Case("memory", kernel, (rows, *classes), want=want, outputs=outputs)
    our_call(make_problem(case.smaller(10)))()
    problem = make_problem(case)
    call = our_call(problem)
    before = resident_bytes()
    call()
    results = problem.out.nbytes if outputs == "fresh" else 0
    print(peak_bytes() - before - results)


if __name__ == "__main__":
    main(*sys.argv[1:])
