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
    "AbsoluteError": Formula("abs(r)", "sign(r)", "0"),
    "AbsolutePercentageError": Formula("abs(r) / s", "sign(r) / s", "0", {"s": "max(abs(t), epsilon)"}),
    "BinaryCrossEntropy": Formula("-t * log(p) - (1 - t) * log(1 - p)", "p - t", "p * (1 - p)"),
    "BinaryFocal": Formula(
        "-(1 - s)**gamma * log(s)",
        "-y * (1 - s)**gamma * (1 - s - gamma * s * log(s))",
        "s * (1 - s)**gamma * ((1 - s) * (1 + 2 * gamma + gamma * log(s)) - gamma**2 * s * log(s))",
        {"s": "1 / (1 + exp(-m))"},
    ),
    "Brier": Formula(
        "(p - t)**2", "2 * p * (1 - p) * (p - t)", "2 * v * (v + (p - t) * (1 - 2 * p))", {"v": "p * (1 - p)"}
    ),
    "Cauchy": Formula("c**2 / 2 * log(1 + x**2)", "r / (1 + x**2)", "(1 - x**2) / (1 + x**2)**2", {"x": "r / c"}),
    "CrossEntropy": Formula("-log(p_y)", "p_j - is_y", "p_j * (1 - p_j)"),
    "Dice": _overlap("1 / 2", "1 / 2"),
    "EpsilonInsensitive": Formula("max(0, abs(r) - epsilon)", "sign(r) if abs(r) > epsilon else 0", "0"),
    "Expectile": Formula("w * r**2", "2 * w * r", "2 * w", {"w": "q if r < 0 else 1 - q"}),
    "Exponential": Formula("exp(-m)", "-y * exp(-m)", "exp(-m)"),
    "Fair": Formula("c**2 * (x - log(1 + x))", "r / (1 + x)", "1 / (1 + x)**2", {"x": "abs(r) / c"}),
    "Focal": Formula(
        "-rho**gamma * log(p_y)",
        "c * (p_j - is_y)",
        "c * p_j * (1 - p_j) + d * (p_j - is_y)**2",
        {
            "rho": "1 - p_y",
            "c": "rho**gamma - gamma * p_y * log(p_y) * rho**(gamma - 1)",
            "d": "gamma * p_y * rho**(gamma - 2) * ((2 + log(p_y)) * rho - (gamma - 1) * p_y * log(p_y))",
        },
    ),
    "Gamma": Formula("z + t * exp(-z)", "1 - t * exp(-z)", "t * exp(-z)"),
    "GeneralizedCrossEntropy": Formula(
        "(1 - p_y**q) / q", "p_y**q * (p_j - is_y)", "p_y**q * (p_j * (1 - p_j) - q * (p_j - is_y)**2)"
    ),
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
    "LogCosh": Formula("log(cosh(r))", "tanh(r)", "1 - tanh(r)**2"),
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
    "SquaredHinge": Formula("max(0, 1 - m)**2", "-2 * y * max(0, 1 - m)", "2 if m < 1 else 0"),
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
