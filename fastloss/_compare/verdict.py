"""What the measurements say in words, and no more than they say.

Losses are compared fold by fold, on the same rows. Folds share most of their training rows, so the standard error of a
mean difference over J folds is that of Nadeau and Bengio, "Inference for the generalization error", Mach. Learn. 52
(2003), https://doi.org/10.1023/A:1024068626366: the variance of the differences times (1/J + test rows / training
rows). The best of many losses is ahead by luck more easily than one of two: the difference has to be two of these
standard errors, or as many as a normal variable exceeds in 5 % of all cases divided by the number of the other losses
(Bonferroni). And it has to matter: at least MATTERS of the way from the best constant to the best loss. Anything less
is a tie, and of ties the usual choice is recommended. How often that is right: benchmarks/compare_truth.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from .problem import Problem
from .study import GROSS_BY, Study, label_of, usual

LEVEL = 0.05
FEWEST_ERRORS = 2.0
MATTERS = 0.02


@dataclass(frozen=True)
class Against:
    """How a loss stands against the best: mean, how much worse it is, and the standard error of that."""

    mean: float
    worse_by: float
    error: float
    is_tie: bool  # as good as the best, for all one can tell; so is the best itself


@dataclass(frozen=True)
class Standing:
    """All losses in one metric, and the constants that know no features."""

    metric: str
    more_is_better: bool
    best: str
    rows: dict[str, Against]
    baselines: dict[str, float]

    @property
    def ties(self) -> list[str]:
        """The losses that nothing is better than."""
        return [label for label, row in self.rows.items() if row.is_tie]

    @property
    def best_baseline(self) -> str | None:
        """The best constant, if there is any."""
        finite = {label: value for label, value in self.baselines.items() if math.isfinite(value)}
        return (max if self.more_is_better else min)(finite, key=lambda label: finite[label]) if finite else None

    def gain(self, label: str) -> float:
        """Return by how much a loss is better than the best constant; infinite without one."""
        if self.best_baseline is None:
            return math.inf
        return (1 if self.more_is_better else -1) * (self.rows[label].mean - self.baselines[self.best_baseline])


def errors_needed(others: int) -> float:
    """Return how many standard errors a difference has to be, for the best of so many others not to be luck."""
    return max(FEWEST_ERRORS, NormalDist().inv_cdf(1 - LEVEL / (2 * max(others, 1))))


def stand(
    metric: str,
    values: dict[str, list[float]],
    more_is_better: bool,
    test_per_train: float,
    baselines: dict[str, list[float]] | None = None,
) -> Standing | None:
    """Compare losses in the values of their folds; None if there are no values."""
    sign = -1.0 if more_is_better else 1.0
    costs = {label: sign * np.asarray(each) for label, each in values.items() if each}
    if not costs:
        return None
    constants = {label: float(np.mean(each)) for label, each in (baselines or {}).items() if each}
    best = min(costs, key=lambda label: float(np.mean(costs[label])))
    found = Standing(metric, more_is_better, best, {}, constants)
    of_best = float(np.mean(costs[best]))
    constant = found.best_baseline
    matters = 0.0 if constant is None else MATTERS * abs(sign * constants[constant] - of_best)
    needed = errors_needed(len(costs) - 1)
    for label, cost in costs.items():
        with np.errstate(invalid="ignore"):
            difference = np.where(cost == costs[best], 0.0, cost - costs[best])  # also where both are infinite
            variance = float(np.var(difference, ddof=1))
        error = float(np.sqrt(variance * (1 / len(difference) + test_per_train)))
        worse_by = float(np.mean(difference))
        is_tie = worse_by <= np.fmax(needed * error, matters)
        found.rows[label] = Against(float(np.mean(values[label])), worse_by, error, bool(is_tie))
    return found


def standings(study: Study) -> dict[str, Standing]:
    """Return a standing for each metric that losses have."""
    found = {
        metric.name: stand(
            metric.name,
            {each.label: each.metrics.get(metric.name, []) for each in study.results},
            metric.more_is_better,
            study.test_per_train,
            {each.label: each.metrics.get(metric.name, []) for each in study.baselines},
        )
        for metric in study.metrics
    }
    return {name: standing for name, standing in found.items() if standing is not None}


def robustness(study: Study, share: float, among: list[str] | None = None) -> Standing:
    """Return a standing of some or all losses at a share of made-up errors."""
    metric = study.robust_metric
    values = {each.label: each.robustness[share] for each in study.results if among is None or each.label in among}
    clean = {each.label: each.metrics[metric.name][: study.folds] for each in study.baselines}
    found = stand(metric.name, values, metric.more_is_better, study.test_per_train, clean)
    assert found is not None  # every loss has this metric
    return found


def harm(study: Study, label: str) -> bool:
    """Whether made-up errors cost a loss anything that can be told from chance and matters."""
    metric = study.robust_metric
    result = next(each for each in study.results if each.label == label)
    clean = {each.label: each.metrics[metric.name][: study.folds] for each in study.baselines}
    pair = {"clean": result.metrics[metric.name][: study.folds], "spoiled": result.robustness[study.shares[-1]]}
    found = stand(metric.name, pair, metric.more_is_better, study.test_per_train, clean)
    return found is not None and not found.rows["spoiled"].is_tie


def listed(names: list[str]) -> str:
    """Write names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number(x: float) -> str:
    """Write a number with three digits."""
    if not np.isfinite(x):
        return str(x)
    return f"{x:#.3g}".rstrip(".") if abs(x) < 1e3 else f"{x:,.0f}"


def spoiling(study: Study) -> str:
    """Say what was done to training targets for the test of robustness."""
    share = f"{study.shares[-1]:.0%} of the training"
    if study.problem.is_classification:
        rare = " of the rarest class, and as many of each other," if study.problem.is_imbalanced else ""
        return f"{share} labels{rare} changed to another class"
    unit = "spreads too large" if study.problem.task == "regression" else "times too large"
    return f"{share} targets {GROSS_BY:.0f} {unit}"


@dataclass(frozen=True)
class Verdict:
    """A recommendation: the loss, the reasons, and what is best for other aims."""

    label: str
    reasons: list[str]
    aims: list[str]
    caveats: list[str]


PURPOSES = {
    "log loss": "probabilities",
    "accuracy": "right classes",
    "balanced accuracy": "right classes, rare ones counting as much as frequent ones",
    "average precision": "finding positives first",
    "RMSE": "the mean",
    "MAE": "the median",
    "pinball 0.9": "a bound that 9 of 10 stay below",
    "Poisson deviance": "the mean of counts",
    "Tweedie deviance": "the mean of amounts",
}


def aims_of(problem: Problem) -> list[str]:
    """Return the metrics that stand for what people want of such a task."""
    if problem.is_classification:
        decisions = ["accuracy", "balanced accuracy"] if problem.is_imbalanced else ["accuracy"]
        return ["log loss", *decisions, *(["average precision"] if problem.task == "binary" else [])]
    if problem.task == "regression":
        return ["RMSE", "MAE", "pinball 0.9"]
    return ["Poisson deviance" if problem.task == "counts" else "Tweedie deviance", "RMSE", "MAE"]


def best_for(standing: Standing, purpose: str, default: str) -> str:
    """Say which loss serves a purpose, and whether another than the usual one is needed for it."""
    row = standing.rows.get(default)
    best = f"{standing.best} ({standing.metric} {number(standing.rows[standing.best].mean)})"
    if row is None:
        return f"For {purpose}: {best}{also_tied([each for each in standing.ties if each != standing.best])}."
    usual_one = f"{default} ({standing.metric} {number(row.mean)})"
    if row.is_tie:
        return f"For {purpose}: {usual_one}, the usual choice; no loss is clearly better."
    return f"For {purpose}: {best}, clearly better than {usual_one}, the usual choice."


def recommend(study: Study) -> Verdict:
    """Choose the best loss, or the usual one if it ties with it; give reasons, and say what else would be gained."""
    found = standings(study)
    main = found.get(study.metrics[0].name) or robustness(study, study.shares[0])
    default = label_of(usual(study.problem.task))
    chosen = default if default in main.ties else main.best
    others = [label for label in main.ties if label not in (chosen, main.best)]

    reasons = []
    if study.judged_by:
        reasons.append(f"Losses are judged by {main.metric}, {study.judged_by}.")
    score = number(main.rows[chosen].mean)
    if chosen == main.best:
        reasons.append(f"It has the best {main.metric}, {score}{also_tied(others)}.")
    else:
        row = main.rows[chosen]
        reasons.append(
            f"Its {main.metric}, {score}, ties with that of {main.best}, {number(main.rows[main.best].mean)}: the "
            f"difference is {number(row.worse_by)} ± {number(row.error)}, too small to matter or to be told from "
            f"chance{also_tied(others)}."
        )
    if chosen != default and default in main.rows:
        row = main.rows[default]
        reasons.append(f"{default}, the usual choice, has {number(row.mean)}{worse(row)}.")
    elif chosen == default and len(main.ties) > 1:
        reasons.append(f"It is the usual choice, and {main.metric} speaks for no other.")
    constant = main.best_baseline
    if constant is not None:
        value = number(main.baselines[constant])
        nothing = main.gain(chosen) <= 0
        reasons.append(
            f"No loss has learnt anything: the {constant}, a constant, has {value}."
            if nothing
            else f"The {constant}, a constant, has {value}."
        )
    aims = [best_for(found[name], PURPOSES[name], default) for name in aims_of(study.problem) if name in found]
    return Verdict(chosen, reasons, [*aims, of_errors(study, found, main, chosen)], caveats(study, main))


def of_errors(study: Study, found: dict[str, Standing], main: Standing, chosen: str) -> str:
    """Say what made-up errors among the training targets do, where that says anything of losses."""
    metric = study.robust_metric.name
    if found[metric].gain(chosen) <= 0:
        return (
            f"Robustness is not judged: {chosen} is no better than a constant in {metric}, and nothing is to be lost."
        )
    robust = robustness(study, study.shares[-1], main.ties)
    row = robust.rows[chosen]
    if not harm(study, chosen):
        harmless = f"Wrong training targets do {chosen} no harm that can be told"
        return f"{harmless}: {metric} {number(row.mean)} with {spoiling(study)}."
    if row.is_tie:
        return (
            f"Wrong training targets harm {chosen} ({metric} {number(row.mean)} with {spoiling(study)}), and no less "
            f"the losses that tie with it."
        )
    return (
        f"If training targets may be wrong: {robust.best}, which ties with {chosen} so far. With {spoiling(study)} its "
        f"{metric} is {number(robust.rows[robust.best].mean)}, and that of {chosen} {number(row.mean)}{worse(row)}."
    )


def worse(row: Against) -> str:
    """Say how much worse a loss is than the best, and how sure that is."""
    return f", worse by {number(row.worse_by)} ± {number(row.error)}" if np.isfinite(row.error) else ""


def also_tied(others: list[str]) -> str:
    """Name those that tie, too, as the end of a sentence."""
    return f"; {listed(others)} {'tie' if len(others) > 1 else 'ties'} as well" if others else ""


def caveats(study: Study, main: Standing) -> list[str]:
    """Say what one should not forget."""
    said = [f"{each.label} is left out: {each.refusal}." for each in study.refused]
    silent = [each.label for each in study.results if each.label not in main.rows]
    if silent:
        verb = "has" if len(silent) == 1 else "have"
        said.append(f"{listed(silent)} {verb} no {main.metric}, for want of probabilities.")
    impossible = [label for label, row in main.rows.items() if not np.isfinite(row.mean)]
    if impossible:
        said.append(f"{listed(impossible)} gave a probability of 0 to what then came: a log loss without bounds.")
    said += [
        f"{each.label} did not converge in {each.not_converged} fits." for each in study.results if each.not_converged
    ]
    if study.folds * study.repeats < 6:
        said.append(f"Only {study.folds * study.repeats} folds: the standard errors are rough themselves.")
    return said
