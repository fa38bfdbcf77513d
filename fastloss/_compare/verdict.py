"""What the measurements say in words, and no more than they say.

Losses are compared fold by fold, on the same rows. Folds share most of their training rows, so the standard error of a
mean difference over J folds is that of Nadeau and Bengio, "Inference for the generalization error", Mach. Learn. 52
(2003), https://doi.org/10.1023/A:1024068626366: the variance of the differences times (1/J + test rows / training
rows). Differences smaller than that are ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .problem import Problem
from .study import GROSS_BY, Study, label_of, usual


@dataclass(frozen=True)
class Against:
    """How a loss stands against the best: mean, how much worse it is, and the standard error of that."""

    mean: float
    worse_by: float
    error: float
    is_tie: bool  # as good as the best, for all one can tell; so is the best itself


@dataclass(frozen=True)
class Standing:
    """All losses in one metric."""

    metric: str
    best: str
    rows: dict[str, Against]

    @property
    def ties(self) -> list[str]:
        """The losses that nothing is better than."""
        return [label for label, row in self.rows.items() if row.is_tie]


def stand(metric: str, values: dict[str, list[float]], more_is_better: bool, test_per_train: float) -> Standing | None:
    """Compare losses in the values of their folds; None if there are no values."""
    costs = {label: (-1.0 if more_is_better else 1.0) * np.asarray(each) for label, each in values.items() if each}
    if not costs:
        return None
    best = min(costs, key=lambda label: float(np.mean(costs[label])))
    rows = {}
    for label, cost in costs.items():
        with np.errstate(invalid="ignore"):
            difference = np.where(cost == costs[best], 0.0, cost - costs[best])  # also where both are infinite
            variance = float(np.var(difference, ddof=1))
        error = float(np.sqrt(variance * (1 / len(difference) + test_per_train)))
        worse_by = float(np.mean(difference))
        rows[label] = Against(float(np.mean(values[label])), worse_by, error, worse_by <= error)
    return Standing(metric, best, rows)


def standings(study: Study) -> dict[str, Standing]:
    """Return a standing for each metric that losses have."""
    found = {
        metric.name: stand(
            metric.name,
            {each.label: each.metrics.get(metric.name, []) for each in study.results},
            metric.more_is_better,
            study.test_per_train,
        )
        for metric in study.metrics
    }
    return {name: standing for name, standing in found.items() if standing is not None}


def robustness(study: Study, share: float, among: list[str] | None = None) -> Standing:
    """Return a standing of some or all losses at a share of made-up errors."""
    metric = study.robust_metric
    values = {each.label: each.robustness[share] for each in study.results if among is None or each.label in among}
    found = stand(metric.name, values, metric.more_is_better, study.test_per_train)
    assert found is not None  # every loss has this metric
    return found


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
        return f"{share} labels changed to another class"
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


def best_for(standing: Standing, purpose: str) -> str:
    """Say which loss serves a purpose, and which do as well."""
    others = [label for label in standing.ties if label != standing.best]
    score = number(standing.rows[standing.best].mean)
    tied = also_tied(others) or ", ahead of all others"
    return f"For {purpose}: {standing.best} ({standing.metric} {score}){tied}."


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
        reasons.append(
            f"Its {main.metric}, {score}, ties with that of {main.best}, {number(main.rows[main.best].mean)}: the "
            f"difference is within its standard error{also_tied(others)}."
        )
    if chosen != default and default in main.rows:
        row = main.rows[default]
        reasons.append(f"{default}, the usual choice, has {number(row.mean)}{worse(row)}.")
    elif chosen == default and len(main.ties) > 1:
        reasons.append(f"Of those that tie it is the usual choice, and {main.metric} speaks for no other.")

    robust = robustness(study, study.shares[-1], main.ties)
    if chosen not in robust.ties:
        row = robust.rows[chosen]
        reasons.append(
            f"If training targets may be wrong, take {robust.best}, which ties with it so far: with {spoiling(study)} "
            f"its {robust.metric} is {number(robust.rows[robust.best].mean)}, and that of {chosen} "
            f"{number(row.mean)}{worse(row)}."
        )

    aims = [best_for(found[name], PURPOSES[name]) for name in aims_of(study.problem) if name in found]
    everyone = robustness(study, study.shares[-1])
    aims.append(best_for(everyone, f"wrong targets among the training rows ({spoiling(study)})"))
    return Verdict(chosen, reasons, aims, caveats(study, main))


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
        said.append(f"Only {study.folds} folds: the standard errors are rough themselves.")
    return said
