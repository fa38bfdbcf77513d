"""`python -m fastloss compare`: tasks are recognised, bad input is refused in words, recommendations are right."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pd = pytest.importorskip("pandas")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from threadpoolctl import threadpool_limits  # noqa: E402

from fastloss.__main__ import main  # noqa: E402
from fastloss._compare import problem, study, verdict  # noqa: E402

pytestmark = pytest.mark.filterwarnings("error")


def table(target, n=150, seed=0):
    """Two columns of numbers and one of names, with gaps, and what `target` makes of a score of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    city = rng.choice(["York", "Bath", "Ely"], n)
    score = 1.5 * x[:, 0] - x[:, 1] + (city == "Bath")
    frame = pd.DataFrame({"height": x[:, 0], "width": x[:, 1], "city": city, "y": target(score, rng)})
    frame.loc[::17, "width"] = np.nan
    frame.loc[::23, "city"] = None
    return frame


TARGETS = {
    "binary": lambda score, rng: np.where(score + rng.logistic(size=len(score)) > 1, "ill", "well"),
    "multiclass": lambda score, rng: np.digitize(score + rng.logistic(size=len(score)), [-1, 1]),
    "regression": lambda score, rng: score + rng.normal(size=len(score)),
    "counts": lambda score, rng: rng.poisson(np.exp(score / 2)),
    "amounts": lambda score, rng: rng.poisson(np.exp(score / 2)) * rng.gamma(3.0, 0.3, len(score)),
}
USUAL = {
    "binary": "BinaryCrossEntropy()",
    "multiclass": "CrossEntropy()",
    "regression": "SquaredError()",
    "counts": "Poisson()",
    "amounts": "Tweedie()",
}


@pytest.fixture
def compare(tmp_path, capsys):
    """Runs the command on a table; returns its JSON and what it printed."""

    def run(frame, *options):
        data, result = tmp_path / "data.csv", tmp_path / "result.json"
        frame.to_csv(data, index=False)
        arguments = ["--data", data, "--target", "y", "--quick", "--json", result, *options]
        assert main(["compare", *map(str, arguments)]) == 0
        return json.loads(result.read_text()), " ".join(capsys.readouterr().out.split())

    return run


@pytest.mark.parametrize("task", TARGETS)
def test_each_task(compare, task, tmp_path):
    html = tmp_path / "page.html"
    found, printed = compare(table(TARGETS[task]), "--html", html)
    page = html.read_text(encoding="utf-8")
    assert found["data"]["task"] == task
    assert found["recommendation"]["loss"] in found["losses"]
    assert USUAL[task] in found["losses"]
    assert found["left_out"] == {}
    for label, loss in found["losses"].items():
        assert label in page
        assert label in printed
        assert found["main_metric"] in loss["folds"] or "Hinge()" in label
        bounded = {name: folds for name, folds in loss["folds"].items() if name != "log loss"}
        assert all(len(folds) == 5 and np.isfinite(folds).all() for folds in bounded.values())
        assert loss["not_converged"] == 0
    assert page.count("<svg") == 0  # in data URIs, whose names cannot clash
    assert page.count("data:image/svg+xml;base64,") == 4
    assert not re.search(r"""(src|href)=["']?https?:""", page)


@pytest.mark.parametrize("task", ["binary", "multiclass", "counts"])
def test_trees(compare, task):
    with threadpool_limits(1):
        found, _ = compare(table(TARGETS[task], 60), "--losses", USUAL[task], "--model", "trees")
    assert found["model"] == "trees"
    run = executed(found["losses"][USUAL[task]]["code"])
    assert np.isfinite(run["model"].predict(run["X"]).astype(float)).all() or task == "multiclass"
    assert set(found["losses"][USUAL[task]]["settings"]) <= {20.0, 60.0}


def executed(code):
    """What a printed program leaves."""
    names = {}
    exec(compile(code, "<printed>", "exec"), names)
    return names


@pytest.mark.parametrize("task", TARGETS)
def test_the_printed_program_makes_the_model(tmp_path, task):
    """From the file as it is: with gaps, an index, names, and the rarer name as the positive one."""
    path = tmp_path / "my data.csv"
    frame = table(TARGETS[task])
    frame.insert(0, "well?", frame["height"] > 0)
    frame.loc[3, "y"] = None
    frame.to_csv(path, sep=";", decimal=",")
    given = problem.load(str(path), "y", None, 1000, 0)
    model = study.Model("linear", given, True, 0)
    loss = study.usual(task)
    run = executed(model.code(loss, 10.0))
    rows = np.arange(len(given.target))
    x, _ = model.prepared(rows, rows)
    ours = model.of(loss, len(rows), 10.0).fit(x, given.target)
    score = "decision_function" if given.is_classification else "predict"
    theirs = getattr(run["model"], score)(run["X"])
    assert len(theirs) == 149
    # Columns of truth values are names there and numbers here: another parametrisation of nearly the same model.
    assert np.corrcoef(np.ravel(theirs), np.ravel(getattr(ours, score)(x)))[0, 1] > 0.999
    if task == "binary":
        assert run["y"].sum() == given.target.sum()


def test_bundled_data_and_png(tmp_path):
    png = tmp_path / "plots.png"
    chosen = ["--losses", "cross_entropy", "focal"]
    assert main(["compare", "--data", "wine", "--quick", "--png", str(png), *chosen]) == 0
    pixels = pytest.importorskip("matplotlib.image").imread(png)
    assert pixels.shape[0] > pixels.shape[1] > 1000
    assert 0.02 < np.mean(pixels[..., :3].min(axis=-1) < 0.9) < 0.5  # drawn on, and mostly paper


@pytest.mark.parametrize("suffix", ["parquet", "tsv"])
def test_other_files(tmp_path, suffix):
    data = tmp_path / f"data.{suffix}"
    frame = table(TARGETS["regression"])
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(data)
    else:
        frame.to_csv(data, sep="\t", index=False)
    loaded = problem.load(str(data), "y", None, 1000, 0)
    assert loaded.task == "regression"
    assert list(loaded.features) == ["height", "width", "city"]
    assert np.allclose(loaded.target, frame["y"])


# ---- bad input -------------------------------------------------------------------------------------------------------

N = 60
NUMBERS = [*range(N)]


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"y": NUMBERS}, ["--target", "z"], r"has no column 'z'; it has 'x', 'y'"),
        ({"y": NUMBERS}, [], r"--target must name the column to predict, one of 'x', 'y'"),
        ({"y": [1.0] * N}, ["--target", "y"], r"'y' is constant: 1.0"),
        ({"y": [*NUMBERS[:20], *[None] * 40]}, ["--target", "y"], r"has 20 rows with a target; .* at least 30"),
        (
            {"y": [f"letter {i}" for i in NUMBERS]},
            ["--target", "y"],
            r"holds text, such as 'letter 0', 60 different values",
        ),
        ({"y": ["a"] * 58 + ["b"] * 2}, ["--target", "y"], r"class 'b' .* only 2 rows"),
        ({"y": ["a", "b"] * 30}, ["--target", "y", "--task", "regression"], r"regression needs numbers"),
        ({"y": [*NUMBERS[1:], -1]}, ["--target", "y", "--task", "counts"], r"is negative in places"),
        ({"y": NUMBERS}, ["--target", "y", "--task", "binary"], r"has 60 values, and a binary task has two"),
        ({"y": NUMBERS}, ["--target", "y", "--losses", "hubber"], r"did you mean 'huber'"),
        ({"y": NUMBERS}, ["--target", "y", "--losses", "Huber(delta=-1)"], r"delta"),
        ({"y": NUMBERS}, ["--target", "y", "--losses", "print('x')"], r"loss 'print'"),
        ({"y": NUMBERS}, ["--target", "y", "--losses", "dice"], r"no loss is left to compare: .*set of rows|no loss"),
        ({"y": NUMBERS}, ["--target", "y", "--metric", "accuracy"], r"--metric 'accuracy' is none of .* RMSE"),
        ({"y": NUMBERS}, ["--target", "y", "--json", "/nowhere/at.json"], r"there is no folder '/nowhere'"),
        ({"y": NUMBERS}, ["--target", "y", "--html", "/"], r"'/' is a folder, and a file is to be written"),
        ({"y": NUMBERS}, ["--target", "y", "--encoding", "latin-99"], r"cannot read .*unknown encoding: latin-99"),
        ({"y": NUMBERS, "x": [5] * N}, ["--target", "y"], r"no column to predict from: x \(constant\)"),
    ],
)
def test_bad_data(tmp_path, capsys, columns, options, words):
    data = tmp_path / "data.csv"
    pd.DataFrame({"x": np.arange(N) % 7, **columns}).to_csv(data, index=False)
    assert main(["compare", "--quick", "--data", str(data), *options]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert re.search(words, said), said


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.csv", None, r"there is no file .*the bundled data sets are breast_cancer"),
        ("empty.csv", b"", r"cannot read .*empty.csv: No columns"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n", r"cannot read .*ragged.csv"),
        ("letters.csv", b"\xff\xfe\x00,y\n\xc3\x28,1\n", r"cannot read .*letters.csv|no column"),
        ("short.csv", b"x,y\n1,2\n2,3\n", r"has 2 rows with a target; a comparison needs at least 30"),
        ("not.parquet", b"x,y\n1,2\n", r"cannot read .*not.parquet|needs a library"),
        ("folder", "folder", r"cannot read .*folder: Is a directory"),
    ],
)
def test_bad_files(tmp_path, capsys, name, content, words):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert main(["compare", "--data", str(path), "--target", "y"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert re.search(words, said), said


def test_a_loss_that_refuses_is_left_out_with_its_sentence(compare):
    found, printed = compare(table(TARGETS["binary"]), "--losses", "BinaryCrossEntropy", "Dice(smooth=2)", "huber")
    assert set(found["losses"]) == {"BinaryCrossEntropy()"}
    assert set(found["left_out"]) == {"Dice(smooth=2.0)", "Huber()"}
    assert "one number for a whole set of rows" in found["left_out"]["Dice(smooth=2.0)"]
    assert "use LossRegressor" in found["left_out"]["Huber()"]
    assert "Dice(smooth=2.0) is left out" in printed


# ---- the task --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1] * 50, "binary"),
        ([True, False] * 50, "binary"),
        (["no", "yes"] * 50, "binary"),
        ([0, 1, 2, 3] * 25, "multiclass"),
        (["a", "b", "c", "d"] * 25, "multiclass"),
        ([0] * 60 + [1] * 25 + [2] * 10 + [3] * 4 + [9], "counts"),
        ([0.0] * 30 + [1.5, 2.25] * 35, "amounts"),
        (list(np.exp(np.linspace(0, 6, 100))), "amounts"),
        (list(np.linspace(-1, 1, 100)), "regression"),
        (list(np.linspace(100, 120, 100)), "regression"),
        (list(range(25, 346)), "regression"),
    ],
)
def test_the_task_is_found(values, task):
    assert problem.task_of(pd.Series(values, name="y"))[0] == task


def test_of_two_names_the_rarer_is_positive_and_of_two_numbers_the_larger():
    names = problem.encoded(pd.Series(["ill"] * 10 + ["well"] * 90, name="y"), "binary")
    assert names[1] == ("well", "ill")
    assert names[0].sum() == 10
    assert problem.encoded(pd.Series([0] * 10 + [1] * 90, name="y"), "binary")[1] == ("0", "1")


# ---- files as people have them ---------------------------------------------------------------------------------------


def test_decimal_commas_separators_and_encodings_are_noticed(tmp_path):
    path = tmp_path / "data.csv"
    rows = "".join(f"{i};1.{i + 100},5;{'Köln' if i % 3 else 'Bonn'};{i % 7},25\n" for i in range(40))
    path.write_bytes(f";Größe;Ort;y\n{rows}".encode("cp1252"))
    given = problem.load(str(path), "y", None, 1000, 0)
    assert given.features["Größe"].tolist()[:2] == [1100.5, 1101.5]
    assert given.target[:2].tolist() == [0.25, 1.25]
    said = " ".join(given.notes)
    assert "Columns separated by ';'" in said
    assert "Decimal commas, noticed in Größe, y" in said
    assert "Encoding cp1252" in said
    assert "Unnamed: 0 (no name, and it counts the rows: an index)" in said
    as_given = problem.load(str(path), "y", None, 1000, 0, problem.Format(";", ",", "latin-1"))
    assert as_given.target.tolist() == given.target.tolist()


def test_names_with_commas_are_no_numbers(tmp_path):
    path = tmp_path / "data.csv"
    pd.DataFrame({"place": ["1,5", "x"] * 20, "y": np.arange(40) % 9}).to_csv(path, sep=";", index=False)
    assert problem.load(str(path), "y", None, 1000, 0).features["place"].dtype == object


def read(path, lines, header="a,b,y"):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return problem.load(str(path), "y", None, 1000, 0)


def test_commas_between_thousands_are_noticed(tmp_path):
    quoted = read(tmp_path / "data.csv", [f'"{i + 1},234.50",{i},"{i + 1},200"' for i in range(40)])
    assert quoted.features["a"].tolist()[:2] == [1234.5, 2234.5]
    assert quoted.target.tolist()[:2] == [1200.0, 2200.0]
    assert "Commas between thousands, noticed in a, y; --decimal , makes decimal commas of them." in quoted.notes
    halves = read(tmp_path / "data.csv", [f'"{i},500",{i},"0,{i + 100}"' for i in range(40)])
    assert halves.features["a"].tolist()[:2] == [0.5, 1.5]  # 0,500 has no thousands


def test_marks_of_missing_numbers(tmp_path):
    lines = [f"{'-' if i % 9 == 1 else i},-,{'?' if i % 10 == 0 else i / 7}" for i in range(60)]
    given = read(tmp_path / "data.csv", lines)
    assert given.features["a"].isna().sum() == 6  # and a seventh, whose target is missing, too
    assert given.features["a"].max() == 59
    assert len(given.target) == 54
    assert "- ? taken for what is missing in a, y." in given.notes
    assert eval(given.code.partition("\n")[0].partition(" = ")[2], {"pd": pd})["y"].isna().sum() == 6


@pytest.mark.parametrize("before", ["sep=,\n", "# made by a machine\n# in March\n"])
def test_lines_before_the_names_are_skipped(tmp_path, before):
    given = read(tmp_path / "data.csv", [f"{i},{i % 3},{i / 7}" for i in range(40)], before + "a, b, y")
    assert list(given.features) == ["a", "b"]
    assert any("before the names of the columns left out" in note for note in given.notes)


def test_columns_between_spaces(tmp_path):
    given = read(tmp_path / "data.txt", [f"{i} {i % 3}  {i / 7}" for i in range(40)], "a b  y")
    assert list(given.features) == ["a", "b"]
    assert "Columns separated by spaces, noticed; --sep changes it." in given.notes


def test_what_is_left_out_is_shown(tmp_path):
    lines = [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d},{50 + i}%,{i / 7}" for i in range(84)]
    with pytest.raises(
        problem.BadInput, match=r"dates: make numbers of them; 84 values.*text; 84 values such as '50%'"
    ):
        read(tmp_path / "data.csv", lines)
    with pytest.raises(problem.BadInput, match=r"holds text, such as '\$0.5'"):
        read(tmp_path / "data.csv", [f"{i},{i},${i}.5" for i in range(84)])
    given = read(tmp_path / "data.csv", [f"{i + 1},{i % 5},{i / 7}" for i in range(40)], "id,b,y")
    assert "Used, though it counts the rows: id; if it is a mere number, take it out." in given.notes


def test_a_spreadsheet_is_refused_by_name(tmp_path):
    (tmp_path / "data.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(problem.BadInput, match="is a spreadsheet: save it as CSV"):
        problem.load(str(tmp_path / "data.xlsx"), "y", None, 1000, 0)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_byte_order(tmp_path, encoding):
    path = tmp_path / "data.csv"
    pd.DataFrame({"größe": np.arange(40), "y": np.arange(40) % 9}).to_csv(path, index=False, encoding=encoding)
    assert list(problem.load(str(path), "y", None, 1000, 0).features) == ["größe"]


@pytest.mark.parametrize("missing", [None, "inf"])
def test_rows_without_a_target_are_left_out_and_counted(tmp_path, missing):
    path = tmp_path / "data.csv"
    pd.DataFrame({"x": np.arange(60) % 7, "y": [*range(50), *[missing] * 10]}).to_csv(path, index=False)
    given = problem.load(str(path), "y", None, 1000, 0)
    assert len(given.target) == len(given.features) == 50
    assert "10 of 60 rows have no target, and are left out." in given.notes


@pytest.mark.parametrize("columns", [60, 80])
def test_no_number_is_cut(tmp_path, capsys, monkeypatch, columns):
    """Six classes, of which some are rare: the name of a loss is longer than the line."""
    monkeypatch.setenv("COLUMNS", str(columns))
    rng = np.random.default_rng(0)
    label = rng.choice(list("abcdef"), 300, p=[0.4, 0.28, 0.15, 0.1, 0.04, 0.03])
    path = tmp_path / "data.csv"
    pd.DataFrame({"x": rng.normal(size=300) + (label == "a"), "label": label}).to_csv(path, index=False)
    asked = [
        "--losses",
        "cross_entropy",
        "CrossEntropy(class_weight=[0.4, 0.6, 1.1, 1.7, 4.3, 5.8])",
    ]
    assert main(["compare", "--data", str(path), "--target", "label", "--quick", *asked]) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    report, code = printed.split("\nimport numpy")
    assert max(map(len, report.splitlines())) <= columns
    assert "lower" in report
    assert "higher" in report


def test_interrupted_in_one_line(tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastloss._compare.report.measure", interrupt)
    assert main(["compare", "--data", "iris", "--quick"]) == 130
    assert capsys.readouterr().err.split("\n") == ["", "fastloss compare: interrupted", ""]


# ---- the recommendation ----------------------------------------------------------------------------------------------

ROBUST = {"AbsoluteError", "Cauchy", "EpsilonInsensitive", "Fair", "Huber", "LogCosh", "PseudoHuber"}


def test_gross_outliers_call_for_a_robust_loss(compare):
    def target(score, rng):
        gross = rng.random(len(score)) < 0.1
        return score + 0.5 * rng.normal(size=len(score)) + 60 * gross * rng.exponential(size=len(score))

    found, printed = compare(
        table(target, 300), "--losses", "squared_error", "absolute_error", "Huber(delta=0.7)", "cauchy"
    )
    assert found["recommendation"]["loss"].partition("(")[0] in ROBUST
    assert found["main_metric"] == "MAE"
    assert not found["losses"]["SquaredError()"]["metrics"]["MAE"]["tie"]
    assert "of the targets lie more than 6 spreads" in printed


@pytest.mark.parametrize("data", ["wine"])
def test_tuned_losses_tie(compare, data, tmp_path):
    """With one penalty for all of them, focal loss was ahead by eight standard errors."""
    result = tmp_path / "result.json"
    asked = ["--losses", "cross_entropy", "focal"]
    assert main(["compare", "--data", data, "--quick", "--json", str(result), *asked]) == 0
    found = json.loads(result.read_text())
    assert found["recommendation"]["loss"] == "CrossEntropy()"
    assert len(found["losses"]["Focal()"]["settings"]) == 5
    assert np.mean(found["baselines"]["majority"]["log loss"]) == pytest.approx(np.log(3), abs=0.02)


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_logistic_keeps_cross_entropy(compare, seed):
    def target(score, rng):
        return (score + rng.logistic(size=len(score)) > 0).astype(int)

    found, _ = compare(table(target, 400, seed), "--losses", "binary_cross_entropy", "poly1")
    assert found["recommendation"]["loss"] == "BinaryCrossEntropy()"


def test_nothing_to_learn_is_said(compare):
    found, printed = compare(
        table(lambda score, rng: rng.normal(size=len(score)) + 5.0, 100), "--losses", "squared_error"
    )
    assert found["recommendation"]["loss"] == "SquaredError()"
    assert "(mean)" in printed
    assert "Robustness is not judged" in printed or "The mean, a constant" in printed


def test_scale_of_targets_with_many_zeros():
    rng = np.random.default_rng(0)
    amounts = np.where(rng.random(1000) < 0.7, 1e-9 * rng.normal(size=1000), rng.gamma(3.0, 10.0, 1000))
    assert 10 < study.spread_of(amounts) < 60
    assert study.spread_of(rng.normal(size=100_000)) == pytest.approx(1.0, abs=0.02)
    gross = np.concatenate([rng.normal(size=900), 1e4 * rng.normal(size=100)])
    assert study.spread_of(gross) == pytest.approx(1.1, abs=0.15)
    assert study.spread_of(np.zeros(9)) == 1.0


def test_as_many_wrong_labels_of_each_class_if_one_is_rare(tmp_path):
    path = tmp_path / "data.csv"
    pd.DataFrame({"x": np.arange(400) % 11, "y": [1] * 20 + [0] * 380}).to_csv(path, index=False)
    given = problem.load(str(path), "y", None, 1000, 0)
    spoiled = study.spoiled(given, given.target, 0.2, np.random.default_rng(0))
    assert [np.count_nonzero(spoiled[given.target == k] != k) for k in (0, 1)] == [4, 4]


def test_normal_residuals_keep_the_squares(compare):
    found, _ = compare(
        table(TARGETS["regression"], 300), "--losses", "squared_error", "huber", "log_cosh", "absolute_error"
    )
    assert found["main_metric"] == "RMSE"
    assert found["recommendation"]["loss"] == "SquaredError()"
    assert found["losses"]["SquaredError()"]["metrics"]["RMSE"]["tie"]


def test_wrong_labels_far_away_call_for_a_bounded_loss(compare):
    """A fifth of one class lies far on the other's side: an unbounded loss turns the boundary for their sake."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    x = rng.normal(size=(400, 2)) + 2.0 * np.where(y, 1, -1)[:, None] * [1.0, 0.0]
    wrong = rng.random(400) < np.where(y, 0.2, 0.0)
    x[wrong] = rng.normal(size=(wrong.sum(), 2)) + [-8.0, 0.0]
    asked = ["--losses", "binary_cross_entropy", "brier", "generalized_cross_entropy", "squared_hinge"]
    found, _ = compare(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}), "--metric", "accuracy", *asked)
    assert found["recommendation"]["loss"] in {"Brier()", "GeneralizedCrossEntropy()"}
    assert not found["losses"]["BinaryCrossEntropy()"]["metrics"]["accuracy"]["tie"]
    assert "Losses are judged by accuracy, as asked for." in found["recommendation"]["reasons"]


@pytest.mark.parametrize(
    ("other", "is_tie"),
    [
        ([1.0, 2.0, 3.0], True),
        ([1.2, 1.9, 3.0], True),  # 0.033 +- 0.13
        ([1.2, 2.0, 3.15], True),  # 0.117 +- 0.095: 1.2 standard errors
        ([1.2, 2.1, 3.15], False),  # 0.15 +- 0.046: 3.3 of them
        ([1.0, 2.0, 4.5], True),  # 0.5 +- 0.79
    ],
)
def test_differences_within_their_standard_errors_are_ties(other, is_tie):
    found = verdict.stand("cost", {"best": [1.0, 2.0, 3.0], "other": other}, False, 0.5)
    assert found.best == "best"
    assert found.rows["other"].is_tie == is_tie
    d = np.subtract(other, [1.0, 2.0, 3.0])
    assert found.rows["other"].worse_by == pytest.approx(d.mean())
    assert found.rows["other"].error == pytest.approx(np.sqrt((1 / 3 + 0.5) * d.var(ddof=1)))


def test_more_losses_ask_for_more_standard_errors():
    assert [verdict.errors_needed(n) for n in (0, 1)] == [2.0, 2.0]
    assert verdict.errors_needed(10) == pytest.approx(2.807, abs=1e-3)


def test_what_does_not_matter_is_a_tie():
    """Beside what is gained over a constant: 0.01 of 9, each time."""
    values = {"best": [1.0, 1.0, 1.0], "other": [1.01, 1.01, 1.01], "third": [1.3, 1.3, 1.3]}
    found = verdict.stand("cost", values, False, 0.5, {"mean": [10.0, 10.0, 10.0], "median": [11.0, 11.0, 11.0]})
    assert found.ties == ["best", "other"]
    assert found.best_baseline == "mean"
    assert found.gain("third") == pytest.approx(8.7)


def test_infinite_is_no_tie_of_finite():
    rows = verdict.stand("cost", {"finite": [1.0, 2.0], "other": [1.0, np.inf]}, False, 0.5).rows
    assert rows["finite"].is_tie
    assert not rows["other"].is_tie
    rows = verdict.stand("cost", {"one": [1.0, np.inf], "other": [1.0, np.inf]}, False, 0.5).rows
    assert rows["one"].is_tie
    assert rows["other"].is_tie


def test_more_is_better():
    found = verdict.stand("share", {"best": [0.9, 0.9], "other": [0.8, 0.8], "silent": []}, True, 0.5)
    assert found.best == "best"
    assert found.rows["other"].worse_by == pytest.approx(0.1)
    assert "silent" not in found.rows


# ---- what is measured ------------------------------------------------------------------------------------------------


def without_times(found):
    for loss in found["losses"].values():
        assert loss.pop("fit_seconds") > 0
    return found


def test_same_seed_same_numbers(compare):
    frame = table(TARGETS["counts"])
    first, again, other = (
        without_times(compare(frame, "--seed", seed, "--losses", "poisson", "tweedie")[0]) for seed in (3, 3, 4)
    )
    assert first == again
    assert first["losses"]["Poisson()"]["folds"] != other["losses"]["Poisson()"]["folds"]


@pytest.mark.parametrize("task", TARGETS)
def test_a_share_of_the_targets_is_spoiled(tmp_path, task):
    path = tmp_path / "data.csv"
    table(TARGETS[task]).to_csv(path, index=False)
    given = problem.load(str(path), "y", None, 1000, 0)
    spoiled = study.spoiled(given, given.target, 0.2, np.random.default_rng(0))
    assert np.count_nonzero(spoiled != given.target) == 30
    if given.is_classification:
        assert set(spoiled) == set(given.target)
    else:
        assert np.median(spoiled[spoiled != given.target]) > np.max(given.target)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", ["squared_error", "absolute_error"])
def test_the_penalty_does_not_depend_on_units(scale, name):
    """Times the square of a coefficient, it is as large as the loss."""
    frame = table(TARGETS["regression"])
    given = problem.Problem("", "regression", "", frame, scale * frame["y"].to_numpy(), (), ())
    unscaled = problem.Problem("", "regression", "", frame, frame["y"].to_numpy(), (), ())
    loss = study.resolve(name)
    power = 0 if name == "squared_error" else -1
    assert study.slope_of(loss, given) == pytest.approx(scale**power * study.slope_of(loss, unscaled))


def test_calibration_error():
    """Of equally many rows each: said 0.2 and 0.8, came 0.5 both times."""
    said, came = np.repeat([0.2, 0.8], 500), np.tile([0.0, 1.0], 500)
    result = study.Result(None, "", pooled=[(said, came)])
    assert result.calibration_error() == pytest.approx(0.3)
    assert np.isnan(study.Result(None, "").calibration_error())


def test_large_data_is_sampled(tmp_path):
    path = tmp_path / "data.csv"
    table(TARGETS["regression"]).to_csv(path, index=False)
    given = problem.load(str(path), "y", None, 100, 0)
    assert len(given.target) == len(given.features) == 100
    assert given.notes == ("A sample of 100 of 150 rows.",)
