"""`fastloss score`: the number that the loss has in memory, of files of every kind; what is wrong, by file and row."""

import contextlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fastloss as fl
from fastloss import _score
from fastloss.__main__ import main
from fastloss._resolve import parse_loss

RNG = np.random.default_rng(0)
Z, T, W = RNG.normal(size=(3, 3000))
W = np.abs(W)
LOGITS, CLASSES = RNG.normal(size=(3000, 4)).astype(np.float32), RNG.integers(0, 4, 3000)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in a folder of its own; return exit code, value and what it complains of."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(["score", *map(str, words)])
        printed = capsys.readouterr()
        return code, float(printed.out) if printed.out else None, printed.err

    return run


def write_csv(path, *columns, header=None, separator=","):
    lines = [] if header is None else [header]
    lines += [separator.join(repr(cell.item()) for cell in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def test_npy(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_score, "AT_ONCE", 1000)
    for name, array in {"z": Z, "t": T, "w": W, "logits": LOGITS, "classes": CLASSES[:, None]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(LOGITS))
    files = ("--prediction", "z.npy", "--target", "t.npy")
    assert run("--loss", "huber", *files) == (0, fl.huber(Z, T), "")
    weighted = fl.huber(Z, T, delta=2, sample_weight=W, reduction="sum")
    assert run("--loss", "Huber(delta=2)", *files, "--weight", "w.npy", "--reduction", "sum") == (0, weighted, "")
    for logits in ("logits.npy", "fortran.npy"):
        found = run("--loss", "cross_entropy", "--prediction", logits, "--target", "classes.npy")
        assert found == (0, fl.cross_entropy(LOGITS, CLASSES), "")
    several = run("--loss", "squared_error", "--prediction", "logits.npy", "--target", "logits.npy",
                  "--weight", "w.npy")  # fmt: skip
    assert several == (0, 0.0, "")


def test_csv(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_score, "AT_ONCE", 1000)
    write_csv(tmp_path / "all.csv", Z, T, W, header='score,"the target",weight')
    write_csv(tmp_path / "bare.csv", Z, separator=";")
    write_csv(tmp_path / "logits.tsv", *LOGITS.astype(float).T, separator="\t")
    write_csv(tmp_path / "classes.csv", CLASSES, header="class")
    whole = fl.huber(Z, T, sample_weight=W)
    of_one_file = ("--prediction", "all.csv:score", "--target", "all.csv:the target", "--weight", "all.csv:3")
    assert run("--loss", "huber", *of_one_file) == (0, whole, "")
    assert run("--loss", "huber", "--prediction", "bare.csv", *of_one_file[2:]) == (0, whole, "")
    found = run("--loss", "CrossEntropy()", "--prediction", "logits.tsv", "--target", "classes.csv")
    assert found == (0, fl.cross_entropy(LOGITS.astype(float), CLASSES), "")


def test_parquet(run, tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(_score, "AT_ONCE", 1000)
    table = pa.table({"a": LOGITS[:, 0], "b": LOGITS[:, 1], "c": LOGITS[:, 2], "d": LOGITS[:, 3], "class": CLASSES})
    parquet.write_table(table, tmp_path / "all.parquet", row_group_size=700)
    found = run("--loss", "focal", "--prediction", "all.parquet:a,b,c,d", "--target", "all.parquet:class")
    assert found == (0, fl.focal(LOGITS, CLASSES), "")
    holes = pa.table({"z": pa.array([0.5] * 1500 + [None]), "word": ["x"] * 1501})
    parquet.write_table(holes, tmp_path / "holes.parquet")
    complaint = run("--loss", "huber", "--prediction", "holes.parquet:z", "--target", "holes.parquet:z")
    assert complaint == (2, None, "fastloss score: holes.parquet, row 1500: nothing stands in column 'z'\n")
    _, _, complaint = run("--loss", "huber", "--prediction", "holes.parquet:word", "--target", "holes.parquet:z")
    assert complaint == "fastloss score: holes.parquet: column 'word' holds string, not real numbers\n"


def test_without_pyarrow(run, tmp_path, monkeypatch):
    (tmp_path / "z.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    code, _, complaint = run("--loss", "huber", "--prediction", "z.parquet", "--target", "z.parquet")
    assert code == 2
    assert 'needs pyarrow, which is not installed: pip install "fastloss[score]"' in complaint


@pytest.mark.parametrize(
    ("text", "loss"),
    [
        ("huber", fl.Huber()),
        ("Huber", fl.Huber()),
        ("fl.Huber(2)", fl.Huber(2)),
        ("cross_entropy(class_weight=[1, 2.5], ignore_index=-100)", fl.CrossEntropy([1, 2.5], ignore_index=-100)),
        ("Quantiles(q=(0.1, 0.9))", fl.Quantiles((0.1, 0.9))),
    ],
)
def test_losses_in_words(text, loss):
    assert parse_loss(text) == loss


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hubber", "did you mean 'huber'"),
        ("Huber(delta=-1)", "Huber: delta must be finite and > 0, got -1"),
        ("Huber(width=1)", "unexpected keyword argument 'width'"),
        ("Huber(delta=__import__('os').getpid())", "parameters must be plain numbers"),
        ("Huber(**{'delta': 1})", "\\*\\* is not taken"),
        ("__import__('os').getpid()", "a name or a call such as"),
        ("os.getpid()", "a name or a call such as"),
        ("Huber(", "a name or a call such as"),
        ("", "a name or a call such as"),
        ("(" * 10000, "a name or a call such as"),
    ],
)
def test_losses_that_are_none(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_loss(text)


def test_bad_files(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_score, "AT_ONCE", 1000)
    (tmp_path / "z.csv").write_text("z\n" + "0.5\n" * 2000)
    (tmp_path / "word.csv").write_text("z\n" + "0.5\n" * 1200 + "abc\n" + "0.5\n" * 799)
    (tmp_path / "cell.csv").write_text("1,2\n" * 1500 + "1\n")
    (tmp_path / "gap.csv").write_text("1\n\n2\n")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe1\n")
    (tmp_path / "target.csv").write_text("t\n" + "0.5\n" * 1500 + "1.5\n" + "0.5\n" * 499)
    (tmp_path / "z.dat").write_text("1")
    (tmp_path / "empty.csv").write_text("")
    np.save(tmp_path / "short.npy", np.ones(1999))
    np.save(tmp_path / "words.npy", np.array(["a"]))
    np.save(tmp_path / "deep.npy", np.ones((2, 2, 2)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:-8])
    (tmp_path / "none.npy").write_bytes(b"none")

    def complaint(prediction, target="z.csv", loss="brier", *more):
        code, value, text = run("--loss", loss, "--prediction", prediction, "--target", target, *more)
        assert (code, value) == (2, None)
        return text.removeprefix("fastloss score: ").rstrip("\n")

    assert complaint("word.csv") == "word.csv, line 1202, column 1: 'abc' is no number"
    assert complaint("cell.csv", "cell.csv", "huber") == "cell.csv, line 1501: 1 cells, and 2 in the first line"
    assert complaint("gap.csv") == "gap.csv, line 2: is empty"
    assert complaint("bytes.csv").startswith("bytes.csv: is no UTF-8 text")
    assert complaint("z.csv", "target.csv") == "target.csv, line 1502: target = 1.5 must lie in [0, 1]"
    assert complaint("z.csv", "short.npy") == "short.npy ends after 1999 rows, z.csv goes on"
    assert complaint("words.npy") == "words.npy: holds <U1, not real numbers"
    assert complaint("deep.npy") == "deep.npy: shape (2, 2, 2); rows of numbers have one or two axes"
    assert complaint("cut.npy") == "cut.npy: is cut off: 16112 bytes of 16120"
    assert complaint("none.npy").startswith("none.npy: no .npy file")
    assert complaint("z.dat").startswith("--prediction: 'z.dat' is none of .npy, .csv")
    assert complaint("nowhere.csv") == "--prediction: there is no file 'nowhere.csv'"
    assert complaint("z.csv:q") == "z.csv: there is no column 'q'; it has 'z'"
    assert (
        complaint("z.csv", "z.csv", "cross_entropy") == "z.csv: one column, and cross_entropy needs one for each class"
    )
    negative = ("--weight", "negative.npy")
    np.save(tmp_path / "negative.npy", np.r_[np.ones(1700), -1.0, np.ones(299)])
    assert complaint("z.csv", "z.csv", "brier", *negative).startswith(
        "negative.npy, row 1700: sample_weight = -1.0 must"
    )
    assert run("--loss", "huber", "--prediction", "empty.csv", "--target", "empty.csv")[0] == 1


def test_nothing_counts(run, tmp_path):
    np.save(tmp_path / "z.npy", np.ones(3))
    np.save(tmp_path / "w.npy", np.zeros(3))
    files = ("--prediction", "z.npy", "--target", "z.npy", "--weight", "w.npy")
    code, value, complaint = run("--loss", "huber", *files)
    assert (code, complaint) == (1, "fastloss score: no row counts, so that there is no mean\n")
    assert np.isnan(value)
    assert run("--loss", "huber", *files, "--reduction", "sum") == (0, 0.0, "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory as Linux writes it")
def test_memory_is_flat(tmp_path):
    """80 MB of predictions, and as much of targets."""
    np.lib.format.open_memmap(tmp_path / "z.npy", "w+", np.float64, (10_000_000,))[:] = 1.0
    program = """
        import resource, sys
        from fastloss.__main__ import main
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert main(["score", "--loss", "huber", "--prediction", sys.argv[1], "--target", sys.argv[1]]) == 0
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "z.npy")]
    value, grown = subprocess.run(command, cwd=sys.prefix, capture_output=True, text=True, check=True).stdout.split()
    assert float(value) == 0.0
    assert int(grown) < 60_000  # kilobytes


def test_parquet_is_read_in_pieces(tmp_path):
    """Of 8 MB in four row groups, Arrow holds one piece of each column, and what a batch is made of."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"z": RNG.normal(size=1_000_000)})
    parquet.write_table(table, tmp_path / "z.parquet", row_group_size=250_000, use_dictionary=False, compression="none")
    del table
    with contextlib.ExitStack() as files:
        before, largest = pa.total_allocated_bytes(), 0
        reader = _score.open_reader("--prediction", str(tmp_path / "z.parquet"), files)
        while len(reader.read(50_000)):
            largest = max(largest, pa.total_allocated_bytes() - before)
    assert reader.n_read == 1_000_000
    assert largest < 5_000_000
