"""Print how many bytes one call needs beyond its inputs and outputs: python peak.py KERNEL OUTPUTS ROWS [CLASSES].

A process of its own, which holds nothing but these arrays.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cases import LOSSES, Case, make_problem, our_call


def memory_bytes(field: str) -> int:
    """Return VmRSS, the memory this process holds, or VmHWM, the most it held since the last reset.

    Not ru_maxrss of getrusage: a child inherits it from the process that started it.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def reset_peak() -> None:
    """Forget the peak so far."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main(kernel: str, outputs: str, *shape: str) -> None:
    """Warm up on a tenth of the rows, so that the threads exist; then call once and look."""
    rows, *classes = map(int, shape)
    want = "value+gradient" if kernel in LOSSES else "array"
    case = Case("memory", kernel, (rows, *classes), want=want, outputs=outputs)
    our_call(make_problem(case.smaller(10)))()
    problem = make_problem(case)
    call = our_call(problem)
    reset_peak()
    before = memory_bytes("VmRSS")
    answer = call()
    results = answer[1].nbytes if outputs == "fresh" else 0
    print(memory_bytes("VmHWM") - before - results)


if __name__ == "__main__":
    main(*sys.argv[1:])
