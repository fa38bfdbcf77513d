"""Ctrl-C ends a call that takes seconds, and leaves the inputs alone; each case in a process of its own."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, threading, time
import numpy as np
import fastloss as fl

calls = {{
    "pointwise": lambda z, t: fl.binary_focal(z, t, gamma=2.5),
    "rowwise": lambda z, t: fl.focal(rows, np.broadcast_to(0, len(rows)), gamma=2.5),
    "set": lambda z, t: fl.dice(z, t),
    "checks": lambda z, t: fl.huber(z, t, sample_weight=np.broadcast_to(np.float32(1), z.shape)),
}}
# Elements without memory, far more than anything runs through in the time that is waited.
shape = (2**33,)
z, t = np.broadcast_to(np.float32(0.5), shape), np.broadcast_to(np.float32(1), shape)
rows = np.lib.stride_tricks.as_strided(np.zeros(2**26 + 64, np.float32), (2**26, 64), (4, 4))  # each a step further
at = []

def press():
    time.sleep(0.5)
    at.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
try:
    calls[{call!r}](z, t)
except KeyboardInterrupt:
    print("stopped", time.perf_counter() - at[0])
assert z[0] == 0.5 and t[-1] == 1
"""


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("call", ["pointwise", "rowwise", "set", "checks"])
def test_interrupt(call, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=call)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,  # not the checkout, which holds no compiled module
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("stopped"), run.stdout or "it ran to the end"
