"""The comparison of losses: one model, one problem, each loss that fits it, and what it does to the predictions.

Imported by ``python -m fastloss compare`` alone. `problem` reads data and finds the task, `study` fits and measures,
`verdict` puts into words what was measured, `plots` and `report` show it.
"""

from __future__ import annotations

import argparse
import sys

BAD_INPUT = 2
BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
TASKS = ("binary", "multiclass", "regression", "counts", "amounts")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add = parser.add_argument
    add("--data", default="breast_cancer", metavar="FILE", help=f"CSV, TSV or Parquet, or one of {', '.join(BUNDLED)}")
    add("--target", metavar="COLUMN", help="the column to predict; needed for a file")
    add("--sep", metavar="CHARACTER", help="between the columns of a text file; noticed unless given")
    add("--decimal", choices=(".", ","), metavar="SIGN", help=". or , in numbers of a text file; noticed unless given")
    add("--encoding", metavar="NAME", help="of a text file; noticed unless given")
    add("--task", choices=TASKS, metavar="TASK", help=f"one of {', '.join(TASKS)}; found from the target unless given")
    add(
        "--losses",
        nargs="+",
        metavar="LOSS",
        help="only these: names, or objects such as 'Huber(delta=2)'; else all that fit the task",
    )
    add("--metric", help="what losses are judged by, such as accuracy or MAE; else what fits the task")
    add("--model", choices=("linear", "trees"), default="linear", help="linear, or boosted trees; default: linear")
    add("--rows", type=int, default=20_000, help="sample this many rows of larger data; default: 20000")
    add("--seed", type=int, default=0, help="of folds, samples and made-up errors; default: 0")
    add("--quick", action="store_true", help="fewer folds and fewer shares of made-up errors")
    add("--json", metavar="FILE", help="write all numbers")
    add("--html", metavar="FILE", help="write a report with plots, one file that needs nothing else")
    add("--png", metavar="FILE", help="write the plots")


def run(options: argparse.Namespace) -> int:
    """Run the comparison; return 0, or 2 if the input is not what it has to be."""
    from .problem import BadInput
    from .report import compare

    try:
        compare(options)
    except BadInput as error:
        print(f"fastloss compare: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0
