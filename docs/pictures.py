"""The pictures of the documentation, drawn from the kernels while it is built."""

import matplotlib.pyplot as plt
import numpy as np

import fastloss as fl

# One parameter of each loss that has any, and values to draw; the first is the default, or one that can be seen.
VARIED = {
    "AFT": ("distribution", ["normal", "logistic", "extreme"]),
    "AbsolutePercentageError": ("epsilon", [1.0, 0.5, 2.0]),
    "Barron": ("alpha", [1.0, 2.0, 0.0, -2.0]),
    "BinaryCrossEntropy": ("pos_weight", [None, 3.0]),
    "BinaryFocal": ("gamma", [2.0, 0.0, 0.5, 5.0]),
    "Cauchy": ("c", [1.0, 0.5, 2.0]),
    "CrossEntropy": ("label_smoothing", [0.0, 0.1, 0.3]),
    "CumulativeLogit": ("thresholds", [(-1.0, 1.0), (-0.2, 0.2), (-3.0, 3.0)]),
    "EpsilonInsensitive": ("epsilon", [0.1, 0.5, 1.0]),
    "Expectile": ("q", [0.5, 0.1, 0.8]),
    "Fair": ("c", [1.0, 0.5, 2.0]),
    "Focal": ("gamma", [2.0, 0.0, 0.5, 5.0]),
    "GeneralizedCrossEntropy": ("q", [0.7, 0.1, 1.0]),
    "Huber": ("delta", [1.0, 0.5, 2.0]),
    "MulticlassHinge": ("margin", [1.0, 2.0]),
    "NegativeBinomial": ("dispersion", [1.0, 0.1, 10.0]),
    "Poly1": ("epsilon", [1.0, -0.5, 4.0]),
    "PseudoHuber": ("delta", [1.0, 0.5, 2.0]),
    "Quantile": ("q", [0.5, 0.1, 0.8]),
    "SmoothL1": ("beta", [1.0, 0.5, 2.0]),
    "SoftF1": ("beta", [1.0, 0.5, 2.0]),
    "StudentTNLL": ("df", [5.0, 1.0, 30.0]),
    "SquaredEpsilonInsensitive": ("epsilon", [0.1, 0.5, 1.0]),
    "Dice": ("smooth", [1.0, 0.0, 5.0]),
    "Jaccard": ("smooth", [1.0, 0.0, 5.0]),
    "Tukey": ("c", [4.685, 1.0, 2.0]),
    "Tversky": ("alpha", [0.5, 0.1, 0.9]),
    "Tweedie": ("power", [1.5, 1.1, 1.9]),
}


def _curves(loss, curvature="exact", column=0):
    """What the horizontal axis is, its numbers, and value, gradient and Hessian over them; of one column of several."""
    options = {"reduction": "none", "curvature": curvature}
    family = type(loss).__module__.rpartition(".")[2]
    if family == "multiclass":
        x = np.linspace(-6, 6, 601)
        z = np.stack([x, np.zeros_like(x), np.full_like(x, -1.0)], axis=1)
        value, gradient, hessian = loss.value_gradient_and_hessian(z, np.zeros(len(x), int), **options)
        return "logit of the right class (others: 0, -1)", x, value, gradient[:, 0], hessian[:, 0]
    if isinstance(loss, fl.CumulativeLogit):
        x = np.linspace(-6, 6, 601)
        return "score; class 1 of 3", x, *loss.value_gradient_and_hessian(x, np.ones_like(x), **options)
    if family == "ordinal":
        x = np.linspace(-6, 6, 601)
        z = np.stack([x, *(np.full_like(x, -k) for k in range(1, len(loss.columns)))], axis=1)
        value, gradient, hessian = loss.value_gradient_and_hessian(z, np.ones_like(x), **options)
        return "first logit; class 1", x, value, gradient[:, 0], hessian[:, 0]
    if isinstance(loss, fl.SquaredLogError):
        x = np.linspace(-0.9, 6, 601)
        return "prediction; target 1", x, *loss.value_gradient_and_hessian(x, np.ones_like(x), **options)
    if family == "likelihood":
        x = np.linspace(-4, 4, 801)
        target = 0.3 if loss.target_domain == "open interval" else 2.0
        z = np.zeros((len(x), len(loss.columns)))
        z[:, 2:] = 1.0
        z[:, column] = x
        value, gradient, hessian = loss.value_gradient_and_hessian(z, np.full_like(x, target), **options)
        others = ", the other 0" if len(loss.columns) == 2 else ""
        moves = loss.columns[0] if type(loss).__name__ in VARIED else "column"
        return f"{moves}; target {target:g}{others}", x, value, gradient[:, column], hessian[:, column]
    if family == "overlap":
        x = np.linspace(-6, 6, 601)
        # Each set is a column: three of ten elements belong, and the first of them is the one that moves.
        target = np.repeat([[1.0]] * 3 + [[0.0]] * 7, len(x), axis=1)
        z = 2 * (2 * target - 1)
        z[0] = x
        value, gradient, hessian = loss.value_gradient_and_hessian(z, target, axis=0, **options)
        return "logit of one of 3 positives among 10", x, value, gradient[0], hessian[0]
    if isinstance(loss, fl.AFT):
        x = np.linspace(-4, 4, 601)
        return "score; an event at time 1", x, *loss.value_gradient_and_hessian(x, np.ones_like(x), **options)
    if family in ("survival", "groups"):
        x = np.linspace(-6, 6, 601)
        target = [1.0, -2.0, -3.0] if isinstance(loss, fl.CoxPH) else [1.0, 0.0, 0.0]
        z = np.stack([x, np.zeros_like(x), np.full_like(x, -1.0)], axis=1)
        together = {"strata": np.repeat(np.arange(len(x)), 3)} if isinstance(loss, fl.CoxPH) else {}
        together = {"group": np.full(len(x), 3)} if family == "groups" else together
        options["reduction"] = "none"
        value, gradient, hessian = (
            each.reshape(len(x), -1)
            for each in loss.value_gradient_and_hessian(z.ravel(), np.tile(target, len(x)), **options, **together)
        )
        return "score of the row that comes first (others: 0, -1)", x, value[:, 0], gradient[:, 0], hessian[:, 0]
    label, low, high, target = {
        "regression": ("residual", -4, 4, 0.0),
        "binary": ("logit of a positive", -6, 6, 1.0),
        "distribution": ("logarithm of the mean, target 2", -2, 3, 2.0),
    }[family]
    x = np.linspace(low, high, 801)
    return label, x, *loss.value_gradient_and_hessian(x, np.full_like(x, target), **options)


def _limit(axes, curves):
    """Leave poles out of the picture."""
    finite = np.concatenate([curve[np.isfinite(curve)] for curve in curves])
    most = max(4 * np.quantile(np.abs(finite), 0.8), 1e-3)
    low, high = max(finite.min(), -most), min(finite.max(), most)
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


def _has_columns(loss):
    return type(loss).__module__.endswith("likelihood")


def _lines(name):
    """The curves of a picture: a text, a loss and the column that moves; the first is of the defaults."""
    make = getattr(fl, name)
    if name in VARIED:
        parameter, values = VARIED[name]
        for value in values:
            note = " (cross-entropy)" if parameter == "gamma" and value == 0 else ""
            yield f"{parameter} = {value}{note}", make(**{parameter: value}), 0
    elif _has_columns(make()):
        yield from ((text, make(), column) for column, text in enumerate(make().columns))
    else:
        yield None, make(), 0


def method(name):
    """Say in a sentence or two how the picture of a loss came about."""
    lines = list(_lines(name))
    along = _curves(lines[0][1])[0]
    if name in VARIED:
        parameter, values = VARIED[name]
        default = ", the default" * (getattr(fl, name)().parameters[parameter] == values[0])
        what = f"for some values of `{parameter}` (in bold `{values[0]}`{default})"
    elif len(lines) > 1:
        what = "for each column, as it moves alone"
    else:
        what = "with the default parameters"
    return (
        f"Value and gradient {what}, and the kinds of curvature of the {'bold' if len(lines) > 1 else 'same'} one, "
        f'computed by the kernels when this page was built (`reduction="none"`). Horizontal axis: {along}. Steep ends '
        "are cut off."
    )


def loss(name, stacked=False):
    """Value, gradient and Hessian of a loss for some values of its parameter, and the three curvatures."""
    lines = list(_lines(name))
    shape, size = ((3, 1), (4.2, 7.8)) if stacked else ((1, 3), (10.5, 3.1))
    figure, (left, middle, right) = plt.subplots(*shape, figsize=size)
    drawn = {left: [], middle: [], right: []}
    for position, (text, drawn_loss, column) in enumerate(lines):
        label, x, *curves = _curves(drawn_loss, column=column)
        for axes, curve in zip((left, middle), curves, strict=False):
            axes.plot(x, curve, color=f"C{position}", linewidth=2 if position == 0 else 1.3, label=text)
            drawn[axes].append(curve)
    styles = {"majorize": ("C4", "-", 1.5), "psd": ("C2", "-", 2.5), "exact": ("black", "--", 1.3)}
    for curvature, (color, line, width) in styles.items():
        _, x, _, _, curve = _curves(lines[0][1], curvature)
        right.plot(x, curve, line, color=color, linewidth=width, label=curvature)
        drawn[right].append(curve)
    of_first = f" of {lines[0][0]}" if _has_columns(lines[0][1]) and name not in VARIED else ""
    for axes, title in zip(drawn, ("value", "gradient", f"Hessian{of_first}, by curvature"), strict=True):
        axes.set(title=title, xlabel=label)
        axes.axhline(0, color="lightgrey", linewidth=0.8, zorder=0)
        _limit(axes, drawn[axes])
    if len(lines) > 1:
        left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8)


def convergence(steps=150):
    """Accuracy on new digits against the steps of gradient descent of a linear model, by loss, from two starts."""
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    X = np.column_stack([pixels / 16, np.ones(len(pixels))])
    rows = np.random.default_rng(0).permutation(len(X))
    train, test = rows[: len(X) // 2], rows[len(X) // 2 :]
    one_hot = np.eye(10)[digit]
    losses = {
        "cross-entropy": (fl.CrossEntropy(), digit),
        "focal, gamma 2": (fl.Focal(), digit),
        "hinge": (fl.MulticlassHinge(), digit),
        "Brier": (fl.Brier(), one_hot),
        "1 - p": (fl.GeneralizedCrossEntropy(q=1.0), digit),
    }
    starts = {
        "begins at zero": np.zeros((65, 10)),
        "begins sure and wrong": 3 * np.random.default_rng(1).normal(size=(65, 10)),
    }
    figure, axes = plt.subplots(2, 1, figsize=(5.6, 6.6), sharex=True, sharey=True)
    for panel, (title, start) in zip(axes, starts.items(), strict=True):
        for name, (loss, target) in losses.items():
            best = np.zeros(1)
            for rate in (0.3, 1.0, 3.0, 10.0, 30.0):
                w, curve = start.copy(), []
                for _ in range(steps):
                    gradient = loss.gradient(X[train] @ w, target[train])
                    w = w - rate * X[train].T @ gradient
                    curve.append(np.mean((X[test] @ w).argmax(axis=1) == digit[test]))
                best = max(best, np.array(curve), key=np.mean)
            panel.plot(np.arange(1, steps + 1), best, label=f"{name}: {best[-1]:.0%}")
        panel.set(title=title, ylabel="accuracy on new digits", ylim=(0, 1))
        panel.legend(frameon=False, loc="lower right")
    axes[1].set(xlabel="steps of gradient descent")
