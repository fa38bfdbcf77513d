"""Mutation testing of the kernels: change one thing, compile, and see whether the harness notices.

    python tests/c/mutate.py                           a small sample, as in continuous integration
    python tests/c/mutate.py --sample 1000 --seed 1 --report FILE
    python tests/c/mutate.py --file pointwise.h --sample 0          all of one file
    python tests/c/mutate.py --show 'rows.h:123'                    what would be tried there

Each mutant is one replacement in one line: an operator, a comparison, a constant, a sign, exchanged arguments, a
condition that is always or never true, a statement left out; lines that only have memory fetched or stored earlier
are left alone. It is compiled for one instruction set with only the losses that matter to its file, first a few of
them, and run on the problems of one real type, then of the other. It counts as

    killed      the harness fails, crashes, or takes half a minute where it took seconds
    same code   the optimised object file is that of the original: no test could tell them apart
    elsewhere   the line is not compiled for this instruction set
    invalid     does not compile
    survived    everything agrees

The score is killed / (killed + survived). Those that survive and are explained in EXPLAINED (equivalent, or a matter of
speed) count as survivors all the same; what the score would be with them counted as killed is given as well.
"""

from __future__ import annotations

import argparse
import collections
import math
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import flags

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"

DRIVERS = (
    "pointwise.h checks.h sums.h formulas.h row_terms.h row_targets.h rows.h rows_few.h rows_tiled.h rows_soft.h"
    " rows_along.h rows_long.h rows_full.h columns.h ranks.h sets.h tiles.h stored.h transpose.h weights.h real.h"
    " special.h"
).split()
POINTWISE = "binary_cross_entropy huber poisson sigmoid"
ROWS = "cross_entropy focal softmax log_softmax logsumexp"
# The losses that a file's mutants are compiled with: first the one before the bar, and if that notices nothing, all.
# Those of a file of losses/ are its own.
LOSSES = {
    "pointwise.h": f"binary_cross_entropy | {POINTWISE} brier epsilon_insensitive fair gamma multiclass_zero_one"
    " cauchy pseudo_huber cross_entropy",
    "checks.h": f"binary_cross_entropy | {POINTWISE} cross_entropy dice",
    "sums.h": f"binary_cross_entropy | {POINTWISE} {ROWS} dice",
    "formulas.h": f"cauchy | {POINTWISE} brier pseudo_huber generalized_cross_entropy cross_entropy",
    **dict.fromkeys("rows.h row_terms.h row_targets.h".split(), f"cross_entropy | {ROWS} poly1"),
    **dict.fromkeys("rows_few.h rows_tiled.h rows_soft.h rows_along.h".split(), f"cross_entropy | {ROWS}"),
    "tiles.h": f"cross_entropy | {ROWS} dice multiclass_hinge",
    "rows_long.h": f"cross_entropy | {ROWS}",
    "rows_full.h": "focal | cross_entropy",
    "columns.h": "gaussian_nll | quantiles rising_quantiles log_normal_nll zero_inflated_poisson_nll",
    "weights.h": f"cross_entropy | {POINTWISE} dice gaussian_nll",
    "special.h": "gamma_nll | gaussian_crps",
    "ranks.h": "multiclass_hinge | multiclass_zero_one",
    "sets.h": "tversky | dice",
    "stored.h": "poisson | huber cross_entropy log_softmax dice",
    "transpose.h": "cross_entropy | softmax logsumexp multiclass_zero_one",
    "real.h": f"poisson | {POINTWISE} exponential fair cauchy gamma tweedie"
    " generalized_cross_entropy kl_divergence focal",
    "location_scale.inc.h": "gaussian_nll gaussian_crps | laplace_nll student_t_nll log_normal_crps",
    "margin.inc.h": "modified_huber | hinge squared_hinge epsilon_insensitive",
    "quantiles.inc.h": "quantiles | rising_quantiles",
    "student_t_nll.inc.h": "student_t_nll free_student_t_nll",
    "sigmoid.inc.h": "sigmoid log_sigmoid",
    "softmax.inc.h": "softmax log_softmax logsumexp",
}
# Other formulas that a formula's file needs.
NEEDS = {"binary_focal": "binary_cross_entropy", "quantiles": "quantile"}
OF_TWO = {"log_sigmoid": "sigmoid", "log_softmax": "softmax", "logsumexp": "softmax"}
OF_TWO |= {"rising_quantiles": "quantiles", "free_student_t_nll": "student_t_nll"}
# What the harness does not run: losses of rows that belong together.
ELSEWHERE = tuple(f"{name}.inc.h" for name in "aft cox_ph group_softmax pairwise_logistic".split())


class Mutant(NamedTuple):
    file: str  # below csrc/
    line: int  # from 1
    start: int
    end: int
    replacement: str
    operator: str

    def __str__(self):
        return f"{self.file}:{self.line}:{self.start + 1} {self.operator}"


# ---------------------------------------------------------------------------------------------- mutants


def code_of(text):
    """The text with comments, strings and preprocessor conditions blanked out, in the same places."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    text = re.sub(r'"[^"\n]*"', blank, text)
    return re.sub(r"^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif|include|undef|pragma)\b.*$", blank, text, flags=re.M)


NUMBER = r"(?<![\w.])(0x[0-9a-fA-F.]+p[+-]?\d+f?|0x[0-9a-fA-F]+|\d+\.\d+(?:e-?\d+)?|\d+)(?![\w.])"
BINARY = [
    (r"(?<=[\w)\]] )\+(?= [\w(*&])", ["-", "*"]),
    (r"(?<=[\w)\]] )-(?= [\w(*&])", ["+"]),
    (r"(?<=[\w)\]] )\*(?= [\w(&-])", ["/", "+"]),
    (r"(?<=[\w)\]] )/(?= [\w(&])", ["*"]),
    (r"(?<=[\w)\]] )%(?= [\w(])", ["*"]),
    (r"(?<=\s)\+=(?=\s)", ["-=", "="]),
    (r"(?<=\s)-=(?=\s)", ["+="]),
    (r"(?<=\s)\*=(?=\s)", ["/="]),
    (r"(?<=\s)\|=(?=\s)", ["="]),
    (r"(?<=\s)<(?=\s)", ["<=", ">="]),
    (r"(?<=\s)<=(?=\s)", ["<", ">"]),
    (r"(?<=\s)>(?=\s)", [">=", "<="]),
    (r"(?<=\s)>=(?=\s)", [">", "<"]),
    (r"(?<=\s)==(?=\s)", ["!="]),
    (r"(?<=\s)!=(?=\s)", ["=="]),
    (r"&&", ["||"]),
    (r"\|\|", ["&&"]),
    (r"(?<=\s)\|(?=\s)", ["&"]),
    (r"(?<=[\w)] )&(?= [\w(~])", ["|"]),
    (r"<<(?= )", [">>"]),
    (r"(?<= )>>", ["<<"]),
    (r"(?<=[=(,?:&|] )-(?=[\w(])|(?<=[(])-(?=[\w(])", [""]),
    (r"(?<=[(&| ])!(?=[\w(])", [""]),
]
FUNCTIONS = {
    "vmax": "vmin",
    "vmin": "vmax",
    "lt": "le",
    "le": "lt",
    "both": "either",
    "either": "both",
    "load": None,
    "low_half": "high_half",
    "unpack_low": "unpack_high",
    "all_true": "any_true",
    "any_true": "all_true",
}
SWAPPED = ("choose", "keep_nan", "lt", "le", "choose_int", "minus_number", "with_sign_of", "not_flat", "quotient_or_0")
STATEMENT = re.compile(r"^\s*(?!return\b|typedef\b|static\b|const\b|enum\b|struct\b|goto\b|case\b|#)[\w*(][^{}]*;\s*$")
DECLARATION = re.compile(
    r"^\s*(?:const |static |CACHE_ALIGNED |struct )*(?:vreal|vint|vmask|real|real_int|int|double|ptrdiff_t|char|vuint|"
    r"long|"
    r"int64_t|uint64_t|streaming_copy|row_stats|row_state|fl_job|fl_checked|tile_arrays|traffic|lane_sums|exact_sum|piece_sum|pending|"
    r"outgoing|long_row|class_run|along_scratch|soft_totals|soft_sums|soft_class|columns|column_tile|column_function|"
    r"set_tiles|set_element|full_class|ranks|terms|point|operands|settings|exp_parts|log_parts|sigmoids|"
    r"probability|__m\w+|shape|size_t|region|tile_function|formula|stage)\b(?! *\()[ *]+\w"
)


def arguments_of(code, opening):
    """Spans of the arguments between the parenthesis at `opening` and its partner, or None."""
    depth, spans, start = 0, [], opening + 1
    for i in range(opening, len(code)):
        if code[i] in "([{":
            depth += 1
        elif code[i] in ")]}":
            depth -= 1
            if depth == 0:
                spans.append((start, i))
                return spans
        elif code[i] == "," and depth == 1:
            spans.append((start, i))
            start = i + 1
    return None


def other_number(text):
    """Numbers next to it that tests should tell from it."""
    if text.startswith("0x") and "p" in text:
        mantissa, exponent = text.split("p")
        digits = list(mantissa)
        # The fifth digit: a coefficient that is wrong by 1e-6 of itself. The first of what another one rounds off.
        at = min(len(digits) - 1, 7 if int(exponent.rstrip("f")) > -20 else 4)
        if digits[at] == ".":
            at -= 1
        digits[at] = "0123456789abcdef"[(int(digits[at], 16) + 8) % 16]
        power = re.match(r"([+-]?)(\d+)(f?)", exponent)
        return ["".join(digits) + "p" + exponent, f"{mantissa}p{power[1]}{int(power[2]) + 1}{power[3]}"]
    if "." in text:
        return [str(float(text) * 1.001), "0.0" if float(text) else "1.0"]
    value = int(text, 0)
    return [str(value + 1)] + ([str(value - 1)] if value > 0 else [])


def mutants_of(file):
    text = (CSRC / file).read_text()
    lines, code = text.splitlines(), code_of(text).splitlines()
    found = []
    for number, line in enumerate(code, 1):
        if not line.strip() or re.search(
            r"\b(prefetch|prefetch_far|step|use_memory_meanwhile)\(|\b(\w*ahead\w*|FEW_AHEAD|fetched)\b", line
        ):
            continue
        is_define = line.lstrip().startswith("#")
        body_start = re.match(r"\s*#\s*define\s+\w+(\([^)]*\))?", line).end() if is_define else 0

        def add(start, end, replacement, operator, number=number, body_start=body_start):
            if start >= body_start and lines[number - 1][start:end] != replacement:
                found.append(Mutant(file, number, start, end, replacement, operator))

        for pattern, replacements in BINARY:
            for match in re.finditer(pattern, line):
                for replacement in replacements:
                    add(match.start(), match.end(), replacement, f"{match[0]} -> {replacement or 'nothing'}")
        for match in re.finditer(NUMBER, line):
            for replacement in other_number(match[0]):
                add(match.start(), match.end(), replacement, f"{match[0]} -> {replacement}")
        for match in re.finditer(r"\b(\w+)\(", line):
            name = match[1]
            if FUNCTIONS.get(name):
                add(match.start(1), match.end(1), FUNCTIONS[name], f"{name} -> {FUNCTIONS[name]}")
            spans = arguments_of(line, match.end() - 1)
            if name in SWAPPED and spans and len(spans) in (2, 3):
                (a, b), (c, d) = spans[-2:]
                first, second = line[a:b], line[c:d]
                add(a, d, f" {second.strip()}, {first.strip()}", f"{name}: arguments exchanged")
            if name == "fmadd" and spans and len(spans) == 3:
                a, b = spans[2]
                add(a, b, f" -({line[a:b].strip()})", "fmadd: other sign of what is added")
            if name in ("vabs", "value_of") and spans and name == "vabs":
                add(match.start(), spans[0][1] + 1, line[spans[0][0] : spans[0][1]], "vabs left out")
            if name == "if" and spans and len(spans) == 1:
                for constant in "01":
                    add(spans[0][0], spans[0][1], constant, f"if ({constant})")
        if STATEMENT.match(line) and not DECLARATION.match(line) and not is_define:
            indent = len(line) - len(line.lstrip())
            if line.count("(") == line.count(")") and not line.lstrip().startswith(("for", "while", "else")):
                match = re.match(r"\s*(if \(.*?\) )?", line)
                add(indent, len(line.rstrip()), ";", "statement left out")
    return found


# -------------------------------------------------------------------------------------- what lives on, and why

# (file, part of the line, operator or "" for all of them): why no test can tell, or need not.
NOT_READ = "of lanes or rows that count nowhere: never read, or times 0"
LATER = "another way to the same numbers, slower or not"
ROOM = "more room than is needed, or other places in it"
EXPLAINED: list[tuple[str, str, str, str]] = [
    ("", "return -1;", "1 -> 2", "no bad target: negative is all that is looked at"),
    ("", "if (domain == FL_ANY) return -1;", "1 -> 2", "likewise"),
    ("", "round_up((ptrdiff_t)job->scratch, 64)", "64 -> 63", ROOM),
    ("", "for (ptrdiff_t end = first + count; first < end;", "< -> <=", "a round of nothing at the end"),
    ("", "PICKED_CLASSES)", "", LATER),
    ("sets.h", "*bad_weight = -1;", "1 -> 2", "negative is all that is looked at"),
    ("checks.h", "if (all_true(ok)) return -1;", "statement", LATER),
    ("binary_focal.inc.h", "o.p[1] == 0 || o.p[2] == 0)", "2 -> 3", LATER),
    ("pointwise.h", "const int fetches = ", "", "whether anything is fetched ahead"),
    ("rows_long.h", "put_piece(b.to, b.from, b.n, &b.out, 1, v->streamed);", "1 -> 2", "only whether it is 0 counts"),
    ("ranks.h", "if (job->stream) stream_end();", "statement", "stores of one thread are in order all the same"),
    ("ranks.h", "k < job->n_classes; k++) z[k * rows + i] = 0;", "< -> <=", "one more, where there is room"),
    (
        "rows_tiled.h",
        "if (n_classes <= FEW_SUMS)",
        "<= -> <",
        "16 classes, then, in a more exact sum",
    ),
    ("rows_few.h", "streaming_copy flow = {0};", "0 -> 1", "with nothing left to send it is not looked at"),
    ("row_targets.h", "enum { PIECE = 16384", "", "another size of pieces"),
    ("negative_binomial_nll.inc.h", "gamma_of(q, -z1, o.want & FL_HESSIAN)", "& -> |", "more than is asked for"),
    ("rows_along.h", "!is_soft(job) ? 1 : job->want & FL_HESSIAN ? 3 : 2;", "2 -> 3", ROOM),
    ("rows_along.h", "!is_soft(job) ? 1 : job->want & FL_HESSIAN ? 3 : 2;", "3 -> 4", ROOM),
    ("ranks.h", "s->target[i] < start + n) to->target_logit", "< -> <=", "the next piece puts the right one there"),
    ("rows_long.h", "* (ptrdiff_t)sizeof(real) + 64;", "64 -> 63", ROOM),
    ("rows_long.h", "for (ptrdiff_t j = n - i; j < LANES; j++) last[j] = 0;", "", NOT_READ),
    ("rows_long.h", "v.largest_of[p] = 0, v.part[p] = 0;", "0 -> 1", NOT_READ),
    ("formulas.h", "int is_moderate(", "", "the other way to divide, exact to the same ulps"),
    ("formulas.h", "is_moderate(c) ? times_number(x, 1 / c)", "32 -> 33", "likewise"),
    ("checks.h", "*hard = 0;", "0 -> 1", "only for losses that do not look at it"),
    (
        "checks.h",
        "i < padded; i++) tile[i] = 0;",
        "< -> <=",
        "one too many, on the stack: sanitizers see that",
    ),
    (
        "pointwise.h",
        "if (job->stream) stream_end();",
        "statement",
        "stores of one thread are in order all the same",
    ),
    (
        "row_targets.h",
        "for (ptrdiff_t i = 0; i < n; i++) /* what counts nowhere",
        "< -> <=",
        "one more, of the padding",
    ),
    ("tiles.h", "(array->outer == job->n_classes * size || n == 1)", "", LATER),
    ("rows_tiled.h", "for (ptrdiff_t k = 1; k < n_classes; k++)", "1 -> 0", "the first once more"),
    (
        "rows_tiled.h",
        "for (ptrdiff_t k = n_classes - 1; k > 0; k--)",
        "- -> +",
        "beyond the end; what follows is last",
    ),
    ("rows_long.h", "for (; i + 2 * LANES <= n; i += 2 * LANES)", "", LATER),
    ("rows_long.h", "for (ptrdiff_t i = 0; i < n; i += WIDTH)", "< -> <=", "a round of nothing at the end"),
    ("rows_long.h", "ptrdiff_t head = streamed ?", "0 -> 1", LATER),
    ("rows_long.h", "const char *ahead = x->data + row * x->outer", "", "where is fetched ahead"),
    ("sets.h", "(ptrdiff_t)sizeof(lane_sums) + 64;", "64 -> 63", ROOM),
    ("real.h", "f = choose(lt(vabs(f), UNIFORM(0x1p-60)), ZERO, f);", "statement", "subnormal numbers: speed"),
    ("real.h", "#define SQRT_HALF", "", "another border between two ways"),
    ("smooth_l1.inc.h", "const double inverse = 1 / o.p[0] <", "1 -> 2", "another border between two ways"),
    ("sums.h", "for (; i + LANES <= n; i += LANES)", "<= -> <", LATER),
    ("checks.h", "for (ptrdiff_t i = n - 1; i >= 0; i--)", "", "some more, of the padding: 0 is a weight"),
    ("checks.h", "all_true(in_domain(splat(", "all_true -> any_true", "all lanes are the same"),
    ("checks.h", "all_true(is_weight(splat(", "all_true -> any_true", "all lanes are the same"),
    ("pointwise.h", "product + fmadd(product, remainder, lost)", "other sign", "less than an ulp: below its tolerance"),
    ("row_targets.h", "i < padded; i++) s->weight[i] = 0;", "0 -> 1", NOT_READ),
    ("row_targets.h", "if (weight[i] == 0) t[i] = 1;", "1 -> 0", "0 is a probability, too"),
    ("row_targets.h", "const int plain = ", "", LATER),
    ("tiles.h", "TILE_BYTES = 8192", "", "another size of tiles"),
    ("row_targets.h", "job->target.type == FL_I64 && stride == 8", "8 -> 9", LATER),
    ("tiles.h", "(ptrdiff_t)sizeof(real) + 64) + 64;", "", ROOM),
    ("tiles.h", "for (ptrdiff_t k = 0; k < n_classes; k++)", "0 -> 1", NOT_READ),
    (
        "rows_few.h",
        "n_classes > PARTIAL ? sum_others + also : sum_others",
        "> -> >=",
        "at the border the second half is 0",
    ),
    ("rows_tiled.h", "STATISTICS(statistics_", "0 -> 1", "computes or keeps more than is asked for: speed"),
    ("tiles.h", "if (rows_are_packed(array, job, n)) {", "", LATER),
    ("tiles.h", "stride % size == 0", "0 -> 1", LATER),
    (
        "rows_few.h",
        "k = n_classes - 1; k >= 0; k--) /* the first of",
        "1 -> 0",
        "reads a register that holds nothing",
    ),
    ("rows_tiled.h", "if (all_true(lt(vabs(largest), UNIFORM(REAL_INFINITY)))) return largest;", "", LATER),
    ("rows_soft.h", "if (!with_hessian) continue;", "", "more is computed than is asked for"),
    ("rows_tiled.h", ": (want & FL_HESSIAN)   ? statistics_hessian", "& -> |", "more is computed than is asked for"),
    (
        "rows_few.h",
        "store_few(to + i * n_classes, out, n_classes, n - i)",
        "- -> +",
        "there is room behind the last row",
    ),
    ("rows_few.h", "rows_are_packed(&job->gradient, job, n)", "== -> !=", LATER),
    ("rows_long.h", "LANES) + 2 * (PIECE + LANES) + 2 * slots) +", "", ROOM),
    ("rows_long.h", "(ptrdiff_t)sizeof(double) * slots + 64;", "", ROOM),
    (
        "rows_long.h",
        "for (int g = 0; g < GROUP; g++)",
        "< -> <=",
        "a vector too many, on the stack: sanitizers see that",
    ),
    ("rows_long.h", "if (i < n)", "< -> <=", "a round of nothing at the end"),
    ("rows_long.h", "start < n; start += PART", "< -> <=", "a round of nothing at the end"),
    ("rows_long.h", "if (!(sum < 1)) return sum;", "< -> <=", "where it is 1, both ways are exact"),
    (
        "rows_long.h",
        "real edge[2 * LANES];",
        "2 -> 1",
        "writes beyond the end of it, on the stack: sanitizers see that",
    ),
    ("rows_long.h", "real largest = counts ? -REAL_INFINITY : 0", "0 -> 1", NOT_READ),
    ("rows_long.h", "s->sum_others[0] = counts ? (real)sum : 1;", "1 -> 2", NOT_READ),
    ("rows_long.h", "m->s.sum_others[r] = m->s.exp_target[r] = 1, m->s.distance[r] = 0;", "", NOT_READ),
    ("rows_long.h", "r < padded; r++) s->sum_others[r] = 1, s->distance[r] = 0;", "", NOT_READ),
    ("rows_long.h", "store(s->exp_target + i, exp_nonpositive(-load(s->distance + i)));", "+ -> -", NOT_READ),
    (
        "rows_long.h",
        "s->sum_others[0] = s->exp_target[0] = s->distance[0] = nan;",
        "statement",
        "infinity minus infinity is nan, too",
    ),
    (
        "rows_long.h",
        "m->n_waiting = m->overlap && !last ? n : 0;",
        "&& -> ||",
        "the rows of a group before go out once more",
    ),
    ("rows_long.h", "return rows < 1 ? 1 : rows > MAX_ROWS", "", "another number of rows at a time"),
    (
        "ranks.h",
        "return (ranks){lowest, lowest, lowest",
        "- -> nothing",
        "the first logit pushes -inf, the old largest, into it",
    ),
    ("ranks.h", "if (job->want & FL_HESSIAN) store(hessian", "& -> |", "into scratch, where nobody looks"),
    ("sets.h", "job->n_classes + LANES, LANES);", "+ -> *", ROOM),
    ("stored.h", "column_only_ ? (first) + done :", "+ -> -", "done is 0 there"),
    ("transpose.h", "for (; whole + WIDTH <= n; whole += WIDTH)", "<= -> <", LATER),
    ("transpose.h", "k < n_classes; k++)", "< -> <=", "one more, into a register that nobody reads"),
    ("rows_long.h", "const int together = array->outer ==", "", LATER),
    ("pointwise.h", "traffic traffic = {0};", "", "set before it is read"),
    ("real.h", "#define SMALLEST_NORMAL", "", "another border, where all is nearly 0"),
    ("real.h", "vmask is_long = lt(UNIFORM(0.0218), r);", "", "another border between two ways"),
    ("real.h", "return choose(lt(vabs(rest), UNIFORM(LARGEST)), rest, ZERO);", "lt -> le", "infinity is still none"),
    ("focal.inc.h", "gamma <= 64", "<= -> <", "at 64 the other way to raise to a power, exact to the same ulps"),
    ("cauchy.inc.h", "CAUCHY_FAR", "", "another border between two ways"),
    ("pseudo_huber.inc.h", "vmask far = ", "", "another border between two ways"),
    ("log_cosh.inc.h", "HORNER(e, q, 0x1.550058p-2)", "0x1.550858p-2", "1e-7 of the result: below its tolerance"),
]


def explanation(mutant, line):
    for file, part, operator, why in EXPLAINED:
        if file in ("", Path(mutant.file).name) and part in line and operator in mutant.operator:
            return why
    return None


# ----------------------------------------------------------------------------------------------- running


# The harness takes a few seconds and little memory where it finds nothing.
LIMITED = ["sh", "-c", 'ulimit -v 4194304; ulimit -t "$0"; exec "$@"']


class Workshop:
    def __init__(self, isa, folder, tables, trusted):
        self.isa, self.folder, self.tables, self.trusted = isa, folder, tables, trusted
        self.csrc = folder / "csrc"
        folder.mkdir()
        shutil.copytree(CSRC, self.csrc)
        self.flags = [flag for flag in flags.flags() if not flag.startswith("-O")] + flags.flags("x86_64", isa)
        self.compiler = os.environ.get("CC", "gcc")
        (folder / "dispatch.o").unlink(missing_ok=True)
        have = [f"-DFL_HAVE_{isa}=1"]
        self.call([self.compiler, *self.flags, *have, "-c", str(CSRC / "dispatch.c"), "-o", str(folder / "dispatch.o")])
        self.call(
            [
                self.compiler,
                "-std=gnu11",
                "-O2",
                f"-I{CSRC}",
                "-c",
                str(HERE / "harness.c"),
                "-o",
                str(folder / "harness.o"),
            ]
        )
        self.originals, self.optimised_originals, self.levels = {}, {}, {}
        for bits in (32, 64):
            # stands for the real type that is not tried
            stub = folder / f"stub{bits}.c"
            stub.write_text(
                f'#include "fastloss.h"\nextern const fl_kernels fl_kernels_{isa}_f{bits};\n'
                "static const fl_loss *const none[] = {0};\n"
                f'const fl_kernels fl_kernels_{isa}_f{bits} = {{"", none}};\n'
            )
            self.call([self.compiler, f"-I{CSRC}", "-c", str(stub), "-o", str(stub.with_suffix(".o"))])

    def call(self, command, timeout=600):
        return subprocess.run(command, check=True, capture_output=True, timeout=timeout)

    def losses_of(self, file):
        """The losses to try a mutant with, first a few, then all."""
        name = Path(file).name
        first, _, others = LOSSES.get(name, name.removesuffix(".inc.h")).partition("|")
        return tuple(dict.fromkeys((tuple(first.split()), tuple(dict.fromkeys(f"{first}{others}".split())))))

    def restrict(self, losses):
        """A losses.def of only these."""
        files = dict.fromkeys(OF_TWO.get(loss, loss) for loss in losses)
        files = dict.fromkeys(f for loss in files for f in (*NEEDS.get(loss, "").split(), loss))
        names = {*losses, *files, *(loss for loss, file in OF_TWO.items() if file in files)}
        text = "#ifdef FL_FORMULAS\n" + "".join(f'#include "losses/{f}.inc.h"\n' for f in files) + "#else\n"
        text += "".join(f"LOSS({name})\n" for name in sorted(names)) + "#endif\n"
        (self.csrc / "losses.def").write_text(text)
        return tuple(sorted(names))

    def tables_of(self, losses, bits):
        return [str(self.tables / f"{loss}-{bits}.bin") for loss in losses]

    def compile(self, bits, level):
        to = self.folder / f"kernels{bits}.o"
        to.unlink(missing_ok=True)
        command = [
            self.compiler,
            *self.flags,
            level,
            "-w",
            f"-DFL_ISA={self.isa}",
            f"-DFL_REAL={bits}",
            "-c",
            str(self.csrc / "kernels.c"),
            "-o",
            str(to),
        ]
        done = subprocess.run(command, capture_output=True, timeout=300)
        return to.read_bytes() if done.returncode == 0 else None

    def preprocessed(self, bits):
        command = [
            self.compiler,
            *self.flags,
            "-P",
            "-E",
            f"-DFL_ISA={self.isa}",
            f"-DFL_REAL={bits}",
            str(self.csrc / "kernels.c"),
        ]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def link(self, bits):
        program = self.folder / "harness"
        self.call(
            [
                self.compiler,
                str(self.folder / "harness.o"),
                str(self.folder / f"kernels{bits}.o"),
                str(self.folder / f"stub{96 - bits}.o"),
                str(self.folder / "dispatch.o"),
                "-lm",
                "-o",
                str(program),
            ]
        )
        return program

    def run(self, bits, losses, *how):
        seconds = 20 if "--brief" in how else 120
        tables = self.tables_of(losses, bits)
        digests = ("--digests", str(HERE / "digests.txt"))
        return subprocess.run(
            [*LIMITED, str(seconds), str(self.link(bits)), *tables, "--partial", "--bits", str(bits), *digests, *how],
            capture_output=True,
        )

    def original(self, losses, bits):
        """Its preprocessed text, once the harness has passed it. The moment's losses.def must be of these losses."""
        if (losses, bits) not in self.originals:
            self.originals[losses, bits] = self.preprocessed(bits)
            # Where functions are handed to functions, -Og may not be able to inline them all.
            self.levels[losses] = "-Og" if self.compile(bits, "-Og") else "-O1"
            if not self.trusted:
                self.compile(bits, self.levels[losses])
                done = self.run(bits, losses)
                if done.returncode:
                    raise SystemExit(
                        f"the harness fails on the original ({losses}, float{bits}):\n{done.stderr.decode()}"
                    )
        return self.originals[losses, bits]

    def optimised(self, losses, bits):
        """The original's optimised object: called with the original in place."""
        if (losses, bits) not in self.optimised_originals:
            self.optimised_originals[losses, bits] = self.compile(bits, "-O1")
        return self.optimised_originals[losses, bits]

    def verdict(self, mutant):
        """First with a few losses and problems, then with all: what is killed at all mostly is at once."""
        *some, every = self.losses_of(mutant.file)
        for losses in some:
            verdict = self.verdict_with(losses, mutant, "--brief")
            if verdict[0] in ("killed", "invalid"):
                return verdict
        return self.verdict_with(every, mutant)

    def verdict_with(self, losses, mutant, *how):
        losses = self.restrict(losses)
        original = {bits: self.original(losses, bits) for bits in (32, 64)}
        path = self.csrc / mutant.file
        before = path.read_text().splitlines(keepends=True)
        lines = list(before)
        line = lines[mutant.line - 1]
        lines[mutant.line - 1] = line[: mutant.start] + mutant.replacement + line[mutant.end :]
        path.write_text("".join(lines))
        outcome = "elsewhere"
        try:
            for bits in (32, 64):
                if self.preprocessed(bits) == original[bits]:
                    continue
                if not self.compile(bits, self.levels[losses]):
                    return "invalid", ""
                done = self.run(bits, losses, *how)
                if done.returncode:
                    told = done.stderr.decode(errors="replace").split("\n")[2:3] or [str(done.returncode)]
                    return "killed", f"float{bits}: {told[0].strip()}"
                outcome = "survived"
                if how:
                    break  # the other real type is for the second, thorough look
            objects = [self.compile(bits, "-O1") for bits in (32, 64)] if outcome == "survived" and not how else None
        finally:
            path.write_text("".join(before))
        if objects and objects == [self.optimised(losses, bits) for bits in (32, 64)]:
            outcome = "same code"
        return outcome, ""


def sample_of(mutants, size, seed):
    """Some of each file, more of larger ones: the same for the same seed."""
    if not size or size >= len(mutants):
        return mutants
    order = sorted(mutants)
    random.Random(seed).shuffle(order)
    return sorted(order[:size])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=40, help="how many; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--isa", default="x86_v3")
    parser.add_argument("--file", action="append", help="only these (names without folders)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin none after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once")
    parser.add_argument(
        "--floor",
        type=float,
        default=0.9,
        help="fail where a true score of this much, explained survivors not counted as killed, would be a surprise",
    )
    parser.add_argument("--report", type=Path, help="append each verdict to this file, and skip what stands there")
    parser.add_argument(
        "--trust", action="store_true", help="`make -C tests/c` has just passed: do not try the originals first"
    )
    parser.add_argument("--show", help="FILE:LINE: list mutants and stop")
    options = parser.parse_args()

    files = DRIVERS + sorted(
        f"losses/{path.name}" for path in (CSRC / "losses").glob("*.h") if path.name not in ELSEWHERE
    )
    if options.file:
        files = [file for file in files if Path(file).name in options.file]
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    if options.show:
        for mutant in mutants:
            if f"{Path(mutant.file).name}:{mutant.line}".startswith(options.show):
                print(mutant)
        return 0
    chosen = sample_of(mutants, options.sample, options.seed)
    done = {}
    if options.report and options.report.exists():
        for row in options.report.read_text().splitlines():
            verdict, name, *_ = row.split("\t")
            done[name] = verdict
    print(f"{len(chosen)} of {len(mutants)} mutants, {options.isa}")

    start = time.monotonic()
    results = []
    tables = HERE.parents[1] / "build" / "mutate"
    # In an order that takes some of each file, should time run out.
    order = list(chosen)
    random.Random(options.seed).shuffle(order)
    if not tables.is_dir():
        partial = tables.with_suffix(f".{os.getpid()}")
        partial.mkdir(parents=True)
        subprocess.run([sys.executable, str(HERE / "table.py"), str(partial), "--coarse"], check=True)
        partial.rename(tables)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        free = queue.SimpleQueue()
        for job in range(options.jobs):
            free.put(Workshop(options.isa, Path(folder, str(job)), tables, options.trust))

        def judge(mutant):
            if str(mutant) in done:
                return done[str(mutant)], ""
            if time.monotonic() - start > options.seconds:
                return None, ""
            workshop = free.get()
            try:
                return workshop.verdict(mutant)
            finally:
                free.put(workshop)

        for mutant, (verdict, detail) in zip(order, pool.map(judge, order), strict=True):
            if verdict:
                results.append((mutant, verdict))
                if options.report and str(mutant) not in done:
                    with options.report.open("a") as report:
                        report.write(f"{verdict}\t{mutant}\t{detail}\n")
    return summary(results, options.floor)


def log_probability(killed, tried, score):
    """Of so many killed among those tried, were the true score this one: the logarithm of the binomial probability."""
    ways = math.lgamma(tried + 1) - math.lgamma(killed + 1) - math.lgamma(tried - killed + 1)
    return ways + killed * math.log(score) + (tried - killed) * math.log1p(-score)


def is_below(killed, tried, floor):
    """Whether a sample contradicts a true score of the floor or more: a one-sided binomial test, at 1 in 100.

    A share that is compared with the floor itself says little of a sample of a dozen: of those with a true score of
    0.9, one in six has less than 0.8.
    """
    return sum(math.exp(log_probability(k, tried, floor)) for k in range(killed + 1)) < 0.01


def summary(results, floor):
    counts = collections.defaultdict(collections.Counter)
    unexplained = []
    for mutant, verdict in results:
        line = (CSRC / mutant.file).read_text().splitlines()[mutant.line - 1]
        why = explanation(mutant, line) if verdict == "survived" else None
        counts[mutant.file][verdict] += 1
        if verdict == "survived":
            counts[mutant.file]["explained"] += why is not None
            print(f"survived: {mutant}\n    {line.strip()}\n    {why or '??? not explained'}")
            if why is None:
                unexplained.append(mutant)
    total = collections.Counter()
    print(f"\n{'file':36}{'tried':>7}{'killed':>8}{'survived':>10}{'explained':>11}{'score':>8}{'with explained':>16}")
    for file in [*sorted(counts), "all"]:
        count = counts[file] if file != "all" else total
        if file != "all":
            total.update(count)
        tried = count["killed"] + count["survived"]
        if tried:
            print(
                f"{file:36}{tried:7}{count['killed']:8}{count['survived']:10}{count['explained']:11}"
                f"{count['killed'] / tried:8.1%}{(count['killed'] + count['explained']) / tried:16.1%}"
            )
    print(
        f"not tried: {total['same code']} same code, {total['elsewhere']} not compiled here, {total['invalid']} invalid"
    )
    tried = total["killed"] + total["survived"]
    return int(not tried or is_below(total["killed"], tried, floor))


if __name__ == "__main__":
    sys.exit(main())
