"""Times of calls that take turns, so that a noisy moment of the machine hits all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

# Below this a call is timed in batches: the clock itself costs some 50 ns.
SECONDS_PER_BATCH = 1e-4
SECONDS_PER_TURN = 2e-3
# A call that takes longer needs no warming before its turn, and one look to know how long it takes.
LONG = 0.05
# Thread pools of different libraries spin for a while after their work; the next one should not pay for it.
PAUSE = 2e-3
FEWEST_ROUNDS, MOST_ROUNDS = 5, 100


@dataclass
class Times:
    """Seconds per call, one for each batch."""

    seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The shortest time, which other processes disturbed least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The usual time."""
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """Median over minimum: 1 on a quiet machine."""
        return self.median / self.best


def seconds_of(call: Callable[[], Any], repeats: int = 1) -> float:
    """Return the mean time of a call over some repeats."""
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


def take_turns(
    calls: dict[str, Callable[[], Any]], budget: float, rounds: int | None = None, most_seconds: float = math.inf
) -> dict[str, Times]:
    """Time calls in turns, each warmed before each turn, for about `budget` seconds or a number of rounds.

    A call that has been timed twice, and for `most_seconds`, sits out what rounds remain.
    """
    batches, turns, is_long = {}, {}, {}
    seconds_per_round = 0.0
    for name, call in calls.items():
        once = seconds_of(call)
        is_long[name] = once > LONG
        if not is_long[name]:
            once = min(seconds_of(call) for _ in range(3))
        batches[name] = 1 + int(SECONDS_PER_BATCH / once)
        turns[name] = max(2, int(SECONDS_PER_TURN / (once * batches[name])))
        seconds_per_round += PAUSE + once * (not is_long[name] + turns[name] * batches[name])
    rounds = rounds or min(MOST_ROUNDS, max(FEWEST_ROUNDS, int(budget / seconds_per_round)))

    times = {name: Times() for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            seconds = times[name].seconds
            if seconds and sum(seconds) * batches[name] > most_seconds:
                continue
            time.sleep(PAUSE)
            if not is_long[name]:
                call()
            seconds += [seconds_of(call, batches[name]) for _ in range(turns[name])]
    return times
