"""
The formulas on the pages of the losses, as expressions of Python: typeset by `typeset`, and held to the kernels by
tests/test_docs.py.

Targets are hard (of `KLDivergence`: probabilities that sum to 1), and there are no class weights, weights of positives
or smoothing.
"""

import ast
from dataclasses import dataclass, field

from latexify.codegen import ExpressionCodegen

# What expressions are made of, family by family.
NAMES = {
    "regression": "$r = z - t$",
    "binary": "$p = \\mathrm{sigmoid}(z)$; $y = 2t - 1$ is the label as $-1$ or $1$, $m = y z$ the margin",
    "multiclass": "$p = \\mathrm{softmax}(z)$, $y$ is the class of the row, and $[j = y]$ is 1 for it and 0 for others",
    "distribution": "$z$ is the logarithm of the mean",
    "ordinal": (
        "$z_j$ is column $j$ of the row, $p_j = \\mathrm{sigmoid}(z_j)$, $y_j = [t > j]$; "
        "$c_l$ and $c_u$ are the thresholds below and above class $t$"
    ),
    "likelihood": "$z_j$ is column $j$ of the row, counted from 0",
    "survival": "$p = \\mathrm{softmax}(z)$ over the rows at risk, of which $j$ has the event",
    "groups": "$p = \\mathrm{softmax}(z)$ over the group; of pairs, $j$ is the row that comes before all others $k$",
    "overlap": "$p = \\mathrm{sigmoid}(z)$, and sums run over the set",
}


@dataclass
class Formula:
    """Value, and first and second derivative by one score; `where` defines shorthands, each from those before it."""

    value: str
    gradient: str
    hessian: str
    where: dict[str, str] = field(default_factory=dict)


def _overlap(a: str, b: str) -> Formula:
    where = {
        "a": a,
        "b": b,
        "N": "sum_k(p_k * t_k) + smooth",
        "D": "N + a * sum_k(p_k * (1 - t_k)) + b * sum_k((1 - p_k) * t_k)",
        "v_j": "p_j * (1 - p_j)",
        "u_j": "t_j + a * (1 - t_j) - b * t_j",
        "Q_j": "(t_j * D - u_j * N) / D**2",
    }
    return Formula("1 - N / D", "-v_j * Q_j", "v_j * Q_j * (2 * v_j * u_j / D - (1 - 2 * p_j))", where)


FORMULAS = {
    "AFT": Formula(
        "a**2 / 2 + log(2 * pi) / 2 + log(scale * t)", "-a / scale", "1 / scale**2", {"a": "(log(t) - z) / scale"}
    ),
    "AbsoluteError": Formula("abs(r)", "sign(r)", "0"),
    "AbsolutePercentageError": Formula("abs(r) / s", "sign(r) / s", "0", {"s": "max(abs(t), epsilon)"}),
    "BinaryCrossEntropy": Formula("-t * log(p) - (1 - t) * log(1 - p)", "p - t", "p * (1 - p)"),
    "BinaryFocal": Formula(
        "-(1 - s)**gamma * log(s)",
        "-y * (1 - s)**gamma * (1 - s - gamma * s * log(s))",
        "s * (1 - s)**gamma * ((1 - s) * (1 + 2 * gamma + gamma * log(s)) - gamma**2 * s * log(s))",
        {"s": "1 / (1 + exp(-m))"},
    ),
    "AllThreshold": Formula("sum_k(log(1 + exp(z_k)) - y_k * z_k)", "p_j - y_j", "p_j * (1 - p_j)", {}),
    "Barron": Formula(
        "b / alpha * ((1 + x)**(alpha / 2) - 1)",
        "r / c**2 * (1 + x)**(alpha / 2 - 1)",
        "(1 + x)**(alpha / 2 - 2) * (1 + (alpha - 1) * x) / c**2",
        {"b": "abs(alpha - 2)", "x": "(r / c)**2 / b"},
    ),
    "BetaNLL": Formula(
        "lgamma(a) + lgamma(b) - lgamma(p) - (a - 1) * log(t) - (b - 1) * log(1 - t)",
        "g_0 if j == 0 else g_1",
        "(p * v)**2 * (trigamma(a) + trigamma(b)) + (1 - 2 * m) * g_0 if j == 0"
        " else a**2 * trigamma(a) + b**2 * trigamma(b) - p**2 * trigamma(p) + g_1",
        {
            "m": "1 / (1 + exp(-z_0))",
            "p": "exp(z_1)",
            "a": "m * p",
            "b": "(1 - m) * p",
            "v": "m * (1 - m)",
            "g_0": "p * v * (psi(a) - psi(b) - log(t) + log(1 - t))",
            "g_1": "a * (psi(a) - log(t)) + b * (psi(b) - log(1 - t)) - p * psi(p)",
        },
    ),
    "Brier": Formula(
        "(p - t)**2", "2 * p * (1 - p) * (p - t)", "2 * v * (v + (p - t) * (1 - 2 * p))", {"v": "p * (1 - p)"}
    ),
    "Cauchy": Formula("c**2 / 2 * log(1 + x**2)", "r / (1 + x**2)", "(1 - x**2) / (1 + x**2)**2", {"x": "r / c"}),
    "CumulativeLogit": Formula(
        "-log(1 / (1 + exp(-a)) - 1 / (1 + exp(-b)))",
        "1 / (1 + exp(-b)) - 1 / (1 + exp(a))",
        "1 / ((1 + exp(a)) * (1 + exp(-a))) + 1 / ((1 + exp(b)) * (1 + exp(-b)))",
        {"a": "z - c_l", "b": "z - c_u"},
    ),
    "CoxPH": Formula("log(sum_k(exp(z_k))) - z_j", "p_j - 1", "p_j * (1 - p_j)"),
    "CrossEntropy": Formula("-log(p_y)", "p_j - is_y", "p_j * (1 - p_j)"),
    "Dice": _overlap("1 / 2", "1 / 2"),
    "EpsilonInsensitive": Formula("max(0, abs(r) - epsilon)", "sign(r) if abs(r) > epsilon else 0", "0"),
    "Expectile": Formula("w * r**2", "2 * w * r", "2 * w", {"w": "q if r < 0 else 1 - q"}),
    "Exponential": Formula("exp(-m)", "-y * exp(-m)", "exp(-m)"),
    "Fair": Formula("c**2 * (x - log(1 + x))", "r / (1 + x)", "1 / (1 + x)**2", {"x": "abs(r) / c"}),
    "Focal": Formula(
        "-((1 - p_y) ** gamma) * log(p_y)",
        "c * (p_j - is_y)",
        "c * p_j * (1 - p_j) + d * (p_j - is_y)**2",
        {
            "rho": "1 - p_y",
            "c": "rho**gamma - gamma * p_y * log(p_y) * rho**(gamma - 1)",
            "d": "gamma * p_y * rho**(gamma - 2) * ((2 + log(p_y)) * rho - (gamma - 1) * p_y * log(p_y))",
        },
    ),
    "Gamma": Formula("z + t * exp(-z)", "1 - t * exp(-z)", "t * exp(-z)"),
    "GammaNLL": Formula(
        "lgamma(a) - a * log(a) + a + a * D + log(t)",
        "a * (1 - x) if j == 0 else a * (psi(a) - log(a) + D)",
        "a * x if j == 0 else a * (psi(a) - log(a) + D) + a * (a * trigamma(a) - 1)",
        {"a": "exp(z_1)", "x": "t * exp(-z_0)", "D": "x - 1 - log(x)"},
    ),
    "GaussianCRPS": Formula(
        "exp(z_1) * (r * erf(r / sqrt(2)) + 2 * phi - 1 / sqrt(pi))",
        "-erf(r / sqrt(2)) if j == 0 else exp(z_1) * (2 * phi - 1 / sqrt(pi))",
        "2 * phi * exp(-z_1) if j == 0 else exp(z_1) * (2 * phi * (1 + r**2) - 1 / sqrt(pi))",
        {"r": "(t - z_0) * exp(-z_1)", "phi": "exp(-(r**2) / 2) / sqrt(2 * pi)"},
    ),
    "GaussianNLL": Formula(
        "z_1 + r**2 / 2 + log(2 * pi) / 2",
        "-r * exp(-z_1) if j == 0 else 1 - r**2",
        "exp(-2 * z_1) if j == 0 else 2 * r**2",
        {"r": "(t - z_0) * exp(-z_1)"},
    ),
    "GeneralizedCrossEntropy": Formula(
        "(1 - p_y**q) / q", "p_y**q * (p_j - is_y)", "p_y**q * (p_j * (1 - p_j) - q * (p_j - is_y)**2)"
    ),
    "GroupSoftmax": Formula("-sum_k(t_k * log(p_k))", "U * p_j - t_j", "U * p_j * (1 - p_j)", {"U": "sum_k(t_k)"}),
    "Hinge": Formula("max(0, 1 - m)", "-y if m < 1 else 0", "0"),
    "Huber": Formula(
        "r**2 / 2 if abs(r) <= delta else delta * (abs(r) - delta / 2)",
        "r if abs(r) <= delta else delta * sign(r)",
        "1 if abs(r) <= delta else 0",
    ),
    "InverseGaussian": Formula(
        "t * exp(-2 * z) / 2 - exp(-z)", "exp(-z) - t * exp(-2 * z)", "2 * t * exp(-2 * z) - exp(-z)"
    ),
    "Jaccard": _overlap("1", "1"),
    "KLDivergence": Formula("sum_k(t_k * log(t_k / p_k))", "p_j - t_j", "p_j * (1 - p_j)"),
    "LaplaceNLL": Formula(
        "z_1 + r + log(2)",
        "sign(z_0 - t) * exp(-z_1) if j == 0 else 1 - r",
        "0 if j == 0 else r",
        {"r": "abs(t - z_0) * exp(-z_1)"},
    ),
    "LogCosh": Formula("log(cosh(r))", "tanh(r)", "1 - tanh(r)**2"),
    "LogNormalCRPS": Formula(
        "exp(z_1) * (r * erf(r / sqrt(2)) + 2 * phi - 1 / sqrt(pi))",
        "-erf(r / sqrt(2)) if j == 0 else exp(z_1) * (2 * phi - 1 / sqrt(pi))",
        "2 * phi * exp(-z_1) if j == 0 else exp(z_1) * (2 * phi * (1 + r**2) - 1 / sqrt(pi))",
        {"r": "(log(t) - z_0) * exp(-z_1)", "phi": "exp(-(r**2) / 2) / sqrt(2 * pi)"},
    ),
    "LogNormalNLL": Formula(
        "log(t) + z_1 + r**2 / 2 + log(2 * pi) / 2",
        "-r * exp(-z_1) if j == 0 else 1 - r**2",
        "exp(-2 * z_1) if j == 0 else 2 * r**2",
        {"r": "(log(t) - z_0) * exp(-z_1)"},
    ),
    "LogisticNLL": Formula(
        "z_1 + 2 * log(2 * cosh(r / 2))",
        "-tanh(r / 2) * exp(-z_1) if j == 0 else 1 - r * tanh(r / 2)",
        "(1 - v**2) * exp(-2 * z_1) / 2 if j == 0 else r * v + r**2 * (1 - v**2) / 2",
        {"r": "(t - z_0) * exp(-z_1)", "v": "tanh(r / 2)"},
    ),
    "ModifiedHuber": Formula(
        "max(0, 1 - m)**2 if m >= -1 else -4 * m",
        "-2 * y * max(0, 1 - m) if m >= -1 else -4 * y",
        "2 if -1 <= m < 1 else 0",
    ),
    "MulticlassHinge": Formula(
        "max(0, margin + z_other - z_y)", "is_other - is_y if margin + z_other > z_y else 0", "0"
    ),
    "NegativeBinomial": Formula(
        "log(1 + dispersion * m) / dispersion + t * log(1 + 1 / (dispersion * m))",
        "(m - t) / (1 + dispersion * m)",
        "m * (1 + dispersion * t) / (1 + dispersion * m)**2",
        {"m": "exp(z)"},
    ),
    "NegativeBinomialNLL": Formula(
        "lgamma(q) + lgamma(t + 1) - lgamma(t + q) + q * log(1 + a * m) + t * log(1 + 1 / (a * m))",
        "g_0 if j == 0 else g_1",
        "m * (1 + a * t) / (1 + a * m)**2 if j == 0"
        " else q**2 * (trigamma(q) - trigamma(t + q)) - m / (1 + a * m) - g_1 + g_0 / (1 + a * m)",
        {
            "m": "exp(z_0)",
            "a": "exp(z_1)",
            "q": "1 / a",
            "g_0": "(m - t) / (1 + a * m)",
            "g_1": "q * (psi(t + q) - psi(q) - log(1 + a * m)) + g_0",
        },
    ),
    "PairwiseLogistic": Formula(
        "sum_k(log(1 + exp(z_k - z_j)))",
        "-sum_k(1 / (1 + exp(z_j - z_k)))",
        "sum_k(exp(z_j - z_k) / (1 + exp(z_j - z_k))**2)",
    ),
    "Poisson": Formula("exp(z) - t * z", "exp(z) - t", "exp(z)"),
    "Poly1": Formula(
        "-log(p_y) + epsilon * (1 - p_y)",
        "(1 + epsilon * p_y) * (p_j - is_y)",
        "(1 + epsilon * p_y) * p_j * (1 - p_j) - epsilon * p_y * (p_j - is_y)**2",
    ),
    "PseudoHuber": Formula(
        "delta**2 * (sqrt(1 + x**2) - 1)", "r / sqrt(1 + x**2)", "1 / sqrt(1 + x**2)**3", {"x": "r / delta"}
    ),
    "Quantile": Formula("-q * r if r < 0 else (1 - q) * r", "-q if r < 0 else 1 - q", "0"),
    "Quantiles": Formula("sum_k(abs(r_k) / 2 + (1 / 2 - q_k) * r_k)", "1 - q_j if r_j > 0 else -q_j", "0", {}),
    "SmoothL1": Formula(
        "r**2 / (2 * beta) if abs(r) < beta else abs(r) - beta / 2",
        "r / beta if abs(r) < beta else sign(r)",
        "1 / beta if abs(r) < beta else 0",
    ),
    "SoftF1": _overlap("1 / (1 + beta**2)", "beta**2 / (1 + beta**2)"),
    "SquaredEpsilonInsensitive": Formula(
        "x**2", "2 * x * sign(r)", "2 if x > 0 else 0", {"x": "max(0, abs(r) - epsilon)"}
    ),
    "SquaredError": Formula("r**2", "2 * r", "2"),
    "SquaredLogError": Formula("x**2", "2 * x / (1 + z)", "2 * (1 - x) / (1 + z)**2", {"x": "log(1 + z) - log(1 + t)"}),
    "SquaredHinge": Formula("max(0, 1 - m)**2", "-2 * y * max(0, 1 - m)", "2 if m < 1 else 0"),
    "StudentTNLL": Formula(
        "z_1 + (df + 1) / 2 * log(1 + r**2 / df) + lgamma(df / 2) - lgamma((df + 1) / 2) + log(pi * df) / 2",
        "-w * r * exp(-z_1) if j == 0 else 1 - w * r**2",
        "w * (df - r**2) / (df + r**2) * exp(-2 * z_1) if j == 0 else 2 * df * w * r**2 / (df + r**2)",
        {"r": "(t - z_0) * exp(-z_1)", "w": "(df + 1) / (df + r**2)"},
    ),
    "Tukey": Formula(
        "c**2 / 6 * (1 - (1 - x**2)**3) if abs(r) < c else c**2 / 6",
        "r * (1 - x**2)**2 if abs(r) < c else 0",
        "(1 - x**2) * (1 - 5 * x**2) if abs(r) < c else 0",
        {"x": "r / c"},
    ),
    "Tversky": _overlap("alpha", "beta"),
    "Tweedie": Formula(
        "exp((2 - power) * z) / (2 - power) - t * exp((1 - power) * z) / (1 - power)",
        "exp((2 - power) * z) - t * exp((1 - power) * z)",
        "(2 - power) * exp((2 - power) * z) + (power - 1) * t * exp((1 - power) * z)",
    ),
    "WeibullNLL": Formula(
        "log(t) - z_1 - u + exp(u)",
        "k * (1 - exp(u)) if j == 0 else u * exp(u) - u - 1",
        "k**2 * exp(u) if j == 0 else u * (exp(u) - 1) + u**2 * exp(u)",
        {"k": "exp(z_1)", "u": "k * (log(t) - z_0)"},
    ),
    "ZeroInflatedPoissonNLL": Formula(
        "-log(s + (1 - s) * exp(-m)) if t == 0 else m - t * z_0 + lgamma(t + 1) - log(1 - s)",
        "(m * (1 - v) if j == 0 else s - v) if t == 0 else (m - t if j == 0 else s)",
        "(m * (1 - v) * (1 - m * v) if j == 0 else b - v * (1 - v)) if t == 0 else (m if j == 0 else b)",
        {"m": "exp(z_0)", "s": "1 / (1 + exp(-z_1))", "v": "1 / (1 + exp(-z_1 - m))", "b": "s * (1 - s)"},
    ),
}

_SYMBOLS = {
    "epsilon": r"\varepsilon",
    "rho": r"\rho",
    "is_y": "[j = y]",
    "z_other": r"\max_{k \neq y} z_k",
    "is_other": r"[j = \mathrm{argmax}_{k \neq y}\, z_k]",
}


class _Typesetter(ExpressionCodegen):
    def visit_Name(self, node: ast.Name) -> str:
        name = node.id
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        return name if len(name) == 1 or name[1] == "_" else super().visit_Name(node)

    def visit_Call(self, node: ast.Call) -> str:
        argument = self.visit(node.args[0])
        match node.func:
            case ast.Name("exp"):
                return f"e^{{{argument}}}"
            case ast.Name("sum_k"):
                return rf"\sum_k {argument}"
            case ast.Name("sign"):
                return rf"\mathrm{{sign}}({argument})"
            case ast.Name("cosh" | "log" | "tanh" as name):  # latexify drops the parentheses of a single name
                return rf"\{name}\left({argument}\right)"
        return super().visit_Call(node)


def typeset(expression: str) -> str:
    """Return an expression of Python as LaTeX."""
    tree = ast.parse(expression, mode="eval").body
    # latexify writes a dot wherever a name has more than one letter.
    return _Typesetter(use_math_symbols=True).visit(tree).replace(r" \cdot ", r" \, ")
