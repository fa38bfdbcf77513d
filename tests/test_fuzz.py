"""The fuzzer's calls from random bytes, the same in each run; `make fuzz` looks for bytes that reach new code."""

import numpy as np
import pytest
from fuzz.fuzz_losses import check


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        data = rng.bytes(rng.choice([8, 30, 200]))
        try:
            check(data)
        except Exception as error:
            raise AssertionError(f"of {data.hex()}") from error
