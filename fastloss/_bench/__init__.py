"""``python -m fastloss bench``: a benchmark of losses on the CPU. Imported by that alone.

`plan` and `options` list the cases, `run` gives them to one process for each library (`worker`), where fastloss and
that library (`peers`) take turns; `results` judges what they found, `report`, `plots` and `page` show it.
"""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--quick", action="store_true", help="few kernels and sizes, done within 30 seconds")
    parser.add_argument("--options", action="store_true", help="every option of a call, as times the plain call")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only cases whose name matches: large/huber")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    parser.add_argument("--peers", metavar="NAMES", help="only these libraries, as torch,jax; '' is fastloss alone")
    parser.add_argument("--threads", metavar="COUNTS", help="numbers of threads, as 1,8 (default: 1, 2, 4 ... all)")
    parser.add_argument("--json", metavar="FILE", help="write everything measured")
    parser.add_argument("--html", metavar="FILE", help="write tables and plots as one page")
    parser.add_argument("--png", metavar="FILE", help="write the plots as one picture")
    parser.add_argument("--compare", metavar="FILE", help="hold the times against an older --json file")


def run(options: argparse.Namespace) -> int:
    """Run the benchmark; return 0, 1 if an answer differs, or 2 if the options are not what they have to be."""
    from .command import bench

    return bench(options)
