"""The compiler's flags, read from setup.py: of all kernels; the instruction sets of a machine; those of one of them.

flags.py                 -O3 -std=gnu11 ...
flags.py x86_64          baseline x86_v3 x86_v4
flags.py x86_64 x86_v3   -mavx2 ...
"""

import ast
import sys
from pathlib import Path


def settings():
    """The constants at the top of setup.py, without running it."""
    source = Path(__file__).resolve().parents[2].joinpath("setup.py").read_text()
    names = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id in ("X86_V3", "X86_V4", "ISAS", "FLAGS"):
            exec(compile(ast.Module([node], []), "setup.py", "exec"), names)
    return names


def flags(machine=None, isa=None):
    found = settings()
    if machine is None:
        return found["FLAGS"]
    isas = found["ISAS"].get(machine, {"baseline": []})
    return list(isas) if isa is None else isas[isa]


if __name__ == "__main__":
    print(*flags(*sys.argv[1:]))
