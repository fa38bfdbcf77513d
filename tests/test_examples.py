"""The examples run, say what they found, and leave a plot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

# What single examples need beyond that.
NEEDS = {
    "plot_boosting_objectives": ["lightgbm", "statsmodels"],
    "plot_calibrated_distributions": ["lightgbm"],
    "plot_digits_keras": ["tensorflow"],
    "plot_digits_torch": ["torch"],
    "plot_sensor_sequence": ["statsmodels"],
    "plot_survival": ["lightgbm", "statsmodels"],
}
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the tests stand alone, without the examples")
def test_there_are_examples():
    assert len(list(EXAMPLES.glob("plot_*.py"))) >= 8


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("plot_*.py")), ids=lambda path: path.stem)
def test_example(example, tmp_path):
    for library in NEEDS.get(example.stem, []):
        pytest.importorskip(library)
    run = subprocess.run(
        [sys.executable, "-W", "error", str(example), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "MPLCONFIGDIR": str(tmp_path / "matplotlib")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    plots = list(tmp_path.glob("*.png"))
    assert [plot.stem for plot in plots] == [example.stem.removeprefix("plot_")]
    assert plots[0].stat().st_size > 10_000
    assert len(run.stdout.splitlines()) > 5
