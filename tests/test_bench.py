"""``python -m fastloss bench``: its answers, its files, and what it says of noise. (What is fast is not tested.)"""

import dataclasses
import json
import re

import numpy as np
import pytest

from fastloss.__main__ import main

pytest.importorskip("rich")
from fastloss._bench import cases, command, options, peers, plan, report, results, run, worker

SMALL = {"row": (12, 5), "element": (60,)}


def small_case(kernel, dtype, **options):
    shape = SMALL["row" if cases.KINDS[kernel] in cases.ROWS else "element"]
    want = "value+gradient" if kernel in cases.LOSSES else "array"
    return cases.Case("large", kernel, shape, dtype, **{"want": want, "outputs": "fresh", **options})


def rates(scale=1.0, history=(1.0, 0.97, 0.95)):
    return {
        name: {"best": best * scale, "how": "made up", "history": [best * scale * each for each in history]}
        for name, best in {
            "copy": 2e10,
            "read": 3e10,
            "add": 3e10,
            "update": 4e10,
            "float32": 2e11,
            "float64": 1e11,
        }.items()
    }


def row_of(case, library, threads, seconds):
    problem = cases.make_problem(dataclasses.replace(case, shape=(1, *case.shape[1:])))
    row = {name: getattr(case, name) for name in ("section", "kernel", "dtype", "want", "outputs", "elements")}
    row |= {"case": case.name, "shape": case.shape_text, "library": library, "threads": threads, "remarks": []}
    scale = case.shape[0]
    row |= {"bytes_read": problem.bytes_read * scale, "bytes_written": problem.bytes_written * scale}
    row["operations"] = case.operations
    numbers = {"fastloss": seconds, **({} if library == "fastloss" else {library: 5 * seconds})}
    if case.section == "memory":
        return {**row, "memory": {name: 1e6 * each for name, each in numbers.items()}}
    return {
        **row,
        "calls": {name: {"best": each, "median": 1.02 * each, "batches": 9} for name, each in numbers.items()},
    }


@pytest.fixture(scope="module")
def made_up():
    """A run of all quick cases, all libraries and two numbers of threads, at 1 ns for each prediction and thread."""
    rows = [
        row_of(case, task.library, task.threads, 1e-7 + case.elements * 1e-9 / task.threads)
        for task in plan.tasks_of(list(plan.all_cases(True)), list(peers.LIBRARIES), [1, 2], False)
        for case in task.cases
    ]
    limits = {"1": rates(), "2": rates()}
    return {
        "format": 1,
        "machine": "made up",
        "date": "",
        "quick": False,
        "versions": {},
        "left_out": [],
        "limits": limits,
        "rows": rows,
    }


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A real run of two cases, next to SciPy if that is there, and its files."""
    folder = tmp_path_factory.mktemp("bench")
    options = ["bench", "--quick", "--filter", "^call/(huber|log_softmax)", "--threads", "1", "--peers", "scipy"]
    assert main([*options, "--json", str(folder / "run.json")]) == 0
    return json.loads((folder / "run.json").read_text(encoding="utf-8")), folder, options


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", cases.KINDS)
def test_answers_are_the_references(kernel, dtype):
    problem = cases.make_problem(small_case(kernel, dtype))
    found, remarks = peers.agreeing_peers(problem, cases.our_call(problem), [peers.load_library("reference")], 1)
    assert (len(found), remarks) == (1, [])


@pytest.mark.parametrize("library", ["numexpr", "scipy", "sklearn", "torch"])
def test_answers_are_those_of_peers(library):
    """(JAX, TensorFlow and torch.compile would take minutes; a run compares them all.)"""
    if peers.missing_from(library):
        pytest.skip(f"without {library}")
    module, n_found = peers.load_library(library), 0
    for kernel in cases.KINDS:
        for outputs in ("fresh", "reused"):
            problem = cases.make_problem(small_case(kernel, "float32", outputs=outputs))
            found, remarks = peers.agreeing_peers(problem, cases.our_call(problem), [module], 1)
            assert remarks == []
            n_found += len(found)
    assert n_found >= 7


def test_an_answer_that_differs_is_told():
    problem = cases.make_problem(small_case("huber", "float32"))
    value, gradient = cases.our_call(problem)()
    for wrong in ((value * 1.01, gradient), (value, gradient + np.float32(1e-3) * np.abs(gradient).max())):
        peer = peers.Peer("wrong", "users", "fresh", lambda wrong=wrong: wrong)
        assert peers.difference((value, gradient), peer, problem.case)


def test_json_round_trip(measured):
    found, _, _ = measured
    ours = results.numbers_of(found["rows"])
    assert {row["kernel"] for row in found["rows"]} == {"huber", "log_softmax"}
    assert all(0 < numbers["fastloss"] < 1 for numbers in ours.values())
    assert set(found["limits"]) == {"1"}
    assert all(rate["best"] > 1e7 for rate in found["limits"]["1"].values())
    if not peers.missing_from("scipy"):
        assert {row["library"] for row in found["rows"] if row["kernel"] == "log_softmax"} == {"fastloss", "scipy"}


def test_compare_with_an_older_run(measured, capsys, tmp_path):
    found, folder, options = measured
    for row in found["rows"]:
        for times in row["calls"].values():
            times["best"] *= 1000
    (tmp_path / "old.json").write_text(json.dumps(found), encoding="utf-8")
    assert main([*options[:-4], "--threads", "1", "--peers", "", "--compare", str(tmp_path / "old.json")]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"Mean of 2 cases: 0\.00", shown)
    assert len(re.findall(r"^ *call/.*0\.00", shown, re.M)) == 2


def test_comparison(made_up):
    same = results.compare(made_up, made_up)
    assert (same.mean, same.changed) == (1.0, {})
    slow = json.loads(json.dumps(made_up))
    changed = [row for row in slow["rows"] if row["case"] == made_up["rows"][0]["case"] and row["threads"] == 2]
    for row in changed:
        row["calls"]["fastloss"]["best"] *= 3
    (((case, threads), ratio),) = results.compare(slow, made_up).changed.items()
    assert (case, threads, round(ratio, 6)) == (changed[0]["case"], 2, 3)
    assert report.comparison_table(results.compare(slow, {**made_up, "rows": []})).note.startswith(
        "The two runs have no"
    )


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        ((1, 0.98, 0.97, 0.96), "Quiet"),
        ((1, 0.85, 0.8, 0.8), "Noisy: repeated measurements differ by 21%"),
        ((1, 0.5, 0.6, 0.5), "TOO NOISY TO BE BELIEVED"),
        ((1, 0.5), "Quiet"),  # twice tells nothing of a limit; the calls do
    ],
)
def test_verdict_on_noise(made_up, history, verdict):
    noisy = {**made_up, "limits": {"2": rates(history=history)}}
    assert report.sentences(noisy)[0].startswith(verdict)


def test_calls_that_cannot_be_repeated_are_noise(made_up):
    assert results.noise_of(made_up) < results.NOISY
    noisy = json.loads(json.dumps(made_up))
    for row in noisy["rows"]:
        if row["library"] == "torch" and "calls" in row:
            row["calls"]["fastloss"]["best"] *= 2
    assert results.noise_of(noisy) > 0.5
    assert results.verdict_on(results.noise_of({"limits": {}, "rows": []})).startswith("Too little")


def test_share_of_the_limit(made_up):
    row = next(row for row in made_up["rows"] if row["case"].startswith("large/huber float32"))
    # 8 bytes read and 4 written at 4e10 a second; 5 operations at 2e11
    share = results.share_of_limit(row, 1.0, results.limits_of(made_up, 2))
    assert (share.bound, round(share.seconds / row["elements"] * 1e12)) == ("memory", 300)
    heavy = results.share_of_limit({**row, "operations": 100 * row["elements"]}, 1.0, results.limits_of(made_up, 2))
    assert (heavy.bound, round(heavy.seconds / row["elements"] * 1e12)) == ("arithmetic", 500)


def test_every_plot_and_a_page_that_needs_nothing_else(made_up, tmp_path):
    pytest.importorskip("matplotlib")
    from fastloss._bench import page, plots

    figures, tables = plots.figures_of(made_up), report.tables_of(made_up)
    page.write_page(made_up, tables, map(plots.svg_of, figures), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<img") == len(plots.PLOTS) - 1  # options have a run of their own
    assert set(re.findall(r"(?:src|href)=\"([^\"]{,10})", text)) == {"data:image"}
    assert not re.search(r"<(script|link|iframe)|@import|url\(", text)
    assert all(table.title in text for table in tables)
    plots.save_png(figures[:2], tmp_path / "plots.png")
    assert (tmp_path / "plots.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--filter", "no such case"], "no case matches 'no such case'; --list shows them"),
        (["--filter", "("], "unterminated subpattern"),
        (["--peers", "torch,turch"], "not turch"),
        (["--threads", "0"], "at least 1"),
        (["--threads", "two"], "two"),
        (["--compare", "nowhere.json"], "nowhere.json"),
    ],
)
def test_wrong_options(options, message, capsys):
    assert main(["bench", *options]) == command.BAD_OPTIONS
    assert message in capsys.readouterr().err


def test_list(capsys):
    assert main(["bench", "--list", "--filter", "sweep/huber"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "sweep/huber float32 100,000,000 value+gradient fresh"


def test_a_case_that_memory_cannot_hold_is_left_out(monkeypatch):
    case = small_case("huber", "float64")
    assert worker.reason_to_leave_out(case, "torch") is None
    monkeypatch.setattr(worker, "available_bytes", lambda: 60 * 8 * 12)
    assert worker.reason_to_leave_out(case, "torch").startswith("may need")
    assert worker.reason_to_leave_out(case, "fastloss") is None


def test_no_time_and_a_broken_library_are_told(monkeypatch):
    tasks = [plan.Task("scipy", 1, (small_case("softmax", "float32"),))]
    found = run.run_tasks(tasks, run.Effort(seconds=-1.0), lambda text, done: None)
    assert (found["rows"], found["left_out"]) == ([], ["scipy, 1 thread: the time was over"])
    monkeypatch.setattr(run, "BOOT", "raise RuntimeError('broken')")
    found = run.run_tasks(tasks, run.QUICK, lambda text, done: None)
    assert found["left_out"] == ["scipy, 1 thread: the rest: the process ended with 1: RuntimeError: broken"]
    # More cases than a pipe holds: the process has ended before it has all of them.
    tasks = [plan.Task("scipy", 1, (small_case("softmax", "float32"),) * 2000)]
    found = run.run_tasks(tasks, run.QUICK, lambda text, done: None)
    assert found["left_out"] == ["scipy, 1 thread: the rest: the process ended with 1: RuntimeError: broken"]


def test_threads_and_libraries_of_the_tasks():
    every = list(plan.all_cases(False))
    tasks = plan.tasks_of(every, ["torch", "reference"], [1, 2, 4], False)
    assert [(task.library, task.threads) for task in tasks] == [
        *(("fastloss", 4), ("fastloss", 2), ("fastloss", 1)),
        *(("reference", 4), ("torch", 4), ("reference", 1), ("torch", 1)),
    ]
    assert set(tasks[0].cases) == set(every)
    assert plan.thread_counts(6) == [1, 2, 4, 6]
    assert {case.kernel for case in every} == set(cases.KINDS) == set(cases.OPERATIONS)


def test_nothing_is_imported_before_it_is_needed(run_python):
    run_python(
        "import sys, fastloss.__main__\n"
        "assert not {'rich', 'matplotlib', 'scipy', 'fastloss._bench.command'} & set(sys.modules)"
    )


def test_missing_library_is_one_sentence(run_python):
    shown = run_python(
        "import sys\nsys.modules['rich'] = None\nsys.stderr = sys.stdout\nimport fastloss.__main__ as command\n"
        "assert command.main(['bench', '--list']) == 2"
    )
    assert shown.strip() == 'fastloss bench needs rich, which is not installed: pip install "fastloss[bench]"'


# ---- options -----------------------------------------------------------------------------------------------------


def small_options():
    """Every option of every loss once, few rows of few classes."""
    found = {}
    for case in options.option_cases(quick=False):
        shape = (4000,) if len(case.shape) == 1 else (16, 10)
        found.setdefault((case.kernel, case.option, case.dtype), dataclasses.replace(case, shape=shape))
    return list(found.values())


def test_every_option_is_another_call_with_the_value_of_its_meaning():
    for case in small_options():
        problem = options.with_option(cases.make_problem(case))
        value, gradient, *_ = cases.our_call(problem)()
        plain = cases.our_call(cases.make_problem(options.plain_case(case)))()
        assert gradient is problem.out, case.name
        assert np.isfinite(np.asarray(value, float)).all(), case.name
        # What changes how numbers are stored, or asks for more, does not change the value.
        if case.option in ("F order", "rows with gaps", "a column of (n, 2)", "int32 labels", "int8 labels"):
            assert value == plain[0], case.name
        elif case.option.startswith("axis 1") or case.option.endswith("Hessian"):
            np.testing.assert_allclose(value, plain[0], rtol=1e-6, err_msg=case.name)
        elif case.option in ("sample_weight", "class_weight", "ignore_index", "label_smoothing", "probabilities"):
            assert value != plain[0], case.name


def test_options_are_torchs():
    if peers.missing_from("torch"):
        pytest.skip("without torch")
    module, n_found = peers.load_library("torch"), 0
    for case in small_options():
        problem = options.with_option(cases.make_problem(case))
        found, remarks = peers.agreeing_peers(problem, cases.our_call(problem), [module], 1)
        assert remarks == [], case.name
        n_found += len(found)
    assert n_found >= 20


def test_options_in_tables_and_in_a_heat_map():
    pytest.importorskip("matplotlib")
    from fastloss._bench import plots

    found = [case for case in options.option_cases(quick=True) if case.kernel in ("huber", "poly1")]
    task = plan.tasks_of(found, ["torch", "sklearn"], [1, 2], True)
    assert {(each.library, each.threads) for each in task} == {("fastloss", 2), ("torch", 2)}
    rows = [
        {**row_of(case, library, 2, 3e-3), "option": case.option, "plain": {"best": 2e-3}}
        for case in found
        for library in ("fastloss", "torch")
    ]
    tables = report.options_tables({"rows": rows})
    assert [table.title for table in tables] == ["Options of huber, float32", "Options of poly1, float32"]
    assert ["sample_weight", "1.5", "1.50 / 5.00"] in tables[0].rows
    assert tables[1].rows == [["against cross_entropy", "1.5", "1.50 / 5.00", "1.50 / 5.00"]]
    figures = plots.figures_of({"rows": rows, "limits": {"2": rates()}})
    assert "Times plain of each option" in plots.svg_of(figures[-1]).decode()
