"""Ctrl-C ends a call that takes seconds, and leaves the inputs alone; each case in a process of its own.

Between two looks at the signals each thread computes some 2 million numbers. What that takes is measured in processor
time, which a busy machine does not stretch; results do not depend on it (tests/test_threads.py, test_digests.py).
"""

import signal

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX signals")

SECONDS = 0.2

CALLS = {
    "pointwise": "fl.binary_focal(z, t, gamma=2.5)",
    "row-wise": "fl.focal(rows, classes, gamma=2.5)",
    "long rows": "fl.focal(long_rows, classes[:65536], gamma=2.5)",
    "a long row": "fl.focal(np.zeros((1, 2**29), np.float32), np.array([0]), gamma=2.5, label_smoothing=0.1)",
    "soft targets": "fl.generalized_cross_entropy(rows, soft)",
    "columns": "fl.CrossEntropy()(columns, classes[:2**25], axis=0)",
    "set": "fl.dice(z, t)",
    "sets": "fl.dice(rows, soft, axis=0)",
    "checks": "fl.huber(z, t, sample_weight=np.broadcast_to(np.float32(1), z.shape), reduction='sum')",
    "row function": "fl.logsumexp(rows)",
    "full Hessian": "fl.Focal().packed_hessian(real_rows, np.zeros(len(real_rows), int))",
    "linear": "fl.linear_cross_entropy(real_rows, np.ones((30_000, 300), np.float32), np.zeros(len(real_rows), int))",
}

PROGRAM = """
import os, signal, threading, time
import numpy as np
import fastloss as fl

def steps(*shape):
    "Each row a step further through one piece of memory."
    return np.lib.stride_tricks.as_strided(np.zeros(sum(shape), np.float32), shape, (4, 4))

# Elements without memory, far more than anything runs through in the time that is waited.
shape = (2**33,)
z, t = np.broadcast_to(np.float32(0.5), shape), np.broadcast_to(np.float32(1), shape)
rows, long_rows, columns = steps(2**26, 64), steps(2**16, 2**18), steps(64, 2**25)
soft = np.lib.stride_tricks.as_strided(np.full(2**26 + 64, 1 / 64, np.float32), (2**26, 64), (4, 4))
classes = np.broadcast_to(0, 2**26)
real_rows = np.ones((40_000, 300), np.float32)  # whose full Hessians take 7 GB
pressed = []

def press():
    time.sleep(0.5)
    pressed.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
with fl.num_threads(1):
    try:
        {call}
    except KeyboardInterrupt:
        print(time.process_time() - pressed[0])
assert z[0] == 0.5 and t[-1] == 1 and not rows[-1].any() and (real_rows == 1).all()
"""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_interrupt(run_python, call):
    found = run_python(PROGRAM.format(call=call))
    assert found, "it ran to the end"
    assert float(found) <= SECONDS


REAL = """
import signal, sys, threading, zlib
import numpy as np
import fastloss as fl

rng = np.random.default_rng(0)
n = 2**23
z, t = rng.normal(size=n).astype(np.float32), rng.integers(0, 2, n).astype(np.float32)
rows, classes = z.reshape(-1, 8), rng.integers(0, 8, n // 8)
inputs = z, t, classes
calls = [
    lambda out: fl.BinaryFocal(2.5).value_and_gradient(z, t, sample_weight=t, gradient_out=out),
    lambda out: fl.Focal(2.5).value_and_gradient(rows, classes, gradient_out=out.reshape(rows.shape)),
    lambda out: fl.Dice().value_and_gradient(z, t, gradient_out=out),
    lambda out: (0.0, fl.CrossEntropy().packed_hessian(rows[: n // 64], classes[: n // 64])),
]

def bits(call, n_threads):
    with fl.num_threads(n_threads):
        value, gradient = call(np.empty_like(z))
    return value.hex(), zlib.crc32(gradient)

def state():
    return [zlib.crc32(each) for each in inputs]

before = state()
expected = [bits(call, 2) for call in calls]
"""


def test_nothing_is_left_behind(run_python):
    """By calls that an error in a signal's handler ends anywhere: inputs are as they were, and so are later results."""
    run_python(
        REAL
        + """
class Ended(Exception):
    pass

def handler(number, frame):
    raise Ended

signal.signal(signal.SIGALRM, handler)
ended = 0
for call, good in zip(calls, expected):
    for delay in range(1, 9):
        try:
            signal.setitimer(signal.ITIMER_REAL, delay / 1000)
            bits(call, 1 + delay % 3)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Ended:
            ended += 1
    assert state() == before
    assert bits(call, 3) == good
assert ended > 8, ended
"""
    )


def test_a_handler_that_returns_lets_the_call_go_on(run_python):
    """Even one that calls fastloss itself."""
    run_python(
        REAL
        + """
seen = []
def handler(number, frame):
    seen.append(fl.cross_entropy(rows[:1000], classes[:1000]))

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.003)
found = [bits(call, 2) for call in calls]
signal.setitimer(signal.ITIMER_REAL, 0)
assert found == expected and state() == before
assert seen and set(seen) == {fl.cross_entropy(rows[:1000], classes[:1000])}
"""
    )
