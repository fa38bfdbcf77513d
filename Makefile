.DEFAULT_GOAL := help
PYTHON ?= python3
SECONDS ?= 60
SEED ?= 0

.PHONY: help build test realistic lint doctest sanitize tsan fuzz freethreaded wheels ci harness coverage mutate nehalem haswell aarch64 docs clean

help:  ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' Makefile | expand -t 14

build:  ## build and install into the current environment, with what the tests need
	FASTLOSS_WERROR=1 $(PYTHON) -m pip install '.[test]'

test:  ## run the tests against the installed package
	pytest -n auto

realistic:  ## the tests on data as people have them, in full: up to 20,000 x 50,000 features (minutes)
	pytest -m realistic

lint:  ## run every linter, as configured in .pre-commit-config.yaml
	pre-commit run --all-files

doctest:  ## run the examples in the docstrings of the installed package
	pytest --doctest-modules --doctest-ignore-import-errors --pyargs fastloss

# Each in a virtual environment and a build folder of its own, where a second build takes what has not changed.
own_build = printf '[build]\nbuild_base = build/$@\n' >.venv-$@/build.cfg && DIST_EXTRA_CONFIG=$(CURDIR)/.venv-$@/build.cfg
# FASTLOSS_ISAS=x86_v3 takes a third of the time that all instruction sets take.
# Without the checks of pointers that AddressSanitizer makes better: half the time of the build. Nor does -g take the other.
# And without float-divide-by-zero, which IEEE 754 defines: a set of nothing is meant to be nan.
DEBUG = -g1 -O1 -fno-omit-frame-pointer -fno-sanitize=null,object-size,pointer-overflow -fno-sanitize-recover=all

# Packaging, documentation, imports; other libraries and what is Python on top of the losses; how exact, after test_values:
# nothing of it runs code in C that the rest does not.
NOT_SANITIZED = packaging promises registry import env binary peers* sklearn* boosters onnx *_module check_objective init_score \
    realistic accuracy derivatives
SANITIZED = $(NOT_SANITIZED:%=--ignore-glob='tests/test_%.py')
sanitize:  ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer (SANITIZED="tests/test_errors.py ...")
	$(PYTHON) -m venv .venv-$@
	$(own_build) \
	    FASTLOSS_EXTRA_FLAGS='-fsanitize=address,undefined,float-cast-overflow $(DEBUG)' \
	    .venv-$@/bin/pip install '.[test]'
	LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
	    .venv-$@/bin/pytest -n auto --capture=sys $(SANITIZED)

# One loss of each driver: what runs in parallel knows no loss. Not test_interrupt, which measures.
THREADED = any_number and float32 and (cross_entropy or multiclass_hinge or huber or dice) or test_any_number_of_threads \
    and hessian or test_python_threads or row_functions_give or repeated_calls or same_bits_for or handler
tsan:  ## the tests of threads under ThreadSanitizer, with Clang and its OpenMP
	bash tools/clang.sh libclang_rt.tsan libarcher
	$(PYTHON) -m venv .venv-$@
	set -- $$(bash tools/clang.sh libclang_rt.tsan libarcher) && \
	    $(own_build) CC=$$1 FASTLOSS_EXTRA_FLAGS='-fsanitize=thread $(DEBUG)' \
	    .venv-$@/bin/pip install . 'pytest>=8' joblib mpmath threadpoolctl && \
	    LD_PRELOAD=$$2 OMP_TOOL_LIBRARIES=$$3 \
	    TSAN_OPTIONS='ignore_noninstrumented_modules=1 halt_on_error=1 exitcode=66' \
	    setarch -R .venv-$@/bin/pytest --capture=sys -k '$(THREADED)' tests/test_threads.py tests/test_sets.py \
	    tests/test_full_hessian.py tests/test_linear.py tests/test_signals.py

fuzz:  ## calls made of bytes, in search of those that reach new code: make fuzz SECONDS=600 (SEED=1: not by chance)
	bash tools/clang.sh
	$(PYTHON) -m venv .venv-$@
	$(own_build) CC=$$(bash tools/clang.sh) FASTLOSS_NO_OPENMP=1 \
	    FASTLOSS_EXTRA_FLAGS='-fsanitize=address,undefined,fuzzer-no-link $(DEBUG)' \
	    .venv-$@/bin/pip install . 'pytest>=8' atheris
	mkdir -p build/$@/corpus
	LD_PRELOAD=$$(.venv-$@/bin/python -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so \
	    ASAN_OPTIONS=detect_leaks=0 .venv-$@/bin/python tests/fuzz/fuzz_losses.py -max_total_time=$(SECONDS) -seed=$(SEED) \
	    -max_len=250 -len_control=0 -rss_limit_mb=4096 -timeout=60 -artifact_prefix=build/$@/ build/$@/corpus

# pip builds a release that has no wheel for this interpreter from source, which takes long: rather an older wheel.
# Some tests of each kind, for all take hours; but not what sets the number of threads of the process, measures its
# memory, has more threads of its own than that, or computes with mpmath, whose precision is the whole process's.
IN_THREADS = threads or huber or poly1 or dice
NOT_IN_THREADS = any_number or under_load or memory or text_book
freethreaded:  ## the tests in four Python threads at once, without the GIL: make freethreaded PYTHON=python3.13t
	$(PYTHON) -c 'import sysconfig; assert sysconfig.get_config_var("Py_GIL_DISABLED"), "not a free-threaded Python"'
	$(PYTHON) -m venv .venv-freethreaded
	PIP_PREFER_BINARY=1 .venv-freethreaded/bin/pip install . 'pytest>=8' pytest-run-parallel hypothesis joblib mpmath \
	    threadpoolctl
	.venv-freethreaded/bin/pytest -q tests/test_import.py tests/test_fork.py tests/test_signals.py
	.venv-freethreaded/bin/pytest -q --parallel-threads=4 --iterations=2 -o thread_unsafe_fixtures=default_threads \
	    -k '(float32 or not float) and ($(IN_THREADS)) and not ($(NOT_IN_THREADS))' \
	    tests/test_threads.py tests/test_values.py tests/test_layouts.py tests/test_errors.py tests/test_options.py \
	    tests/test_objects.py tests/test_hard_inputs.py tests/test_sets.py tests/test_full_hessian.py \
	    tests/test_linear.py

wheels:  ## dist/: wheels for every CPython found, repaired, built twice, compared and tested (PYTHONS="python3.11 ...")
	bash tools/wheels.sh dist

harness:  ## the kernels below Python: guard pages, alignments, bits (make -C tests/c sanitize, aarch64: likewise)
	$(MAKE) -C tests/c PYTHON=$(PYTHON)

coverage:  ## lines and branches of kernels, driver and Python files, under the harness and the tests
	$(PYTHON) tests/c/covered.py

mutate:  ## mutation testing of the kernels: a small sample (docs/mutation.md), whose score varies; after make harness
	$(PYTHON) tests/c/mutate.py --sample 120 --seconds 100 --trust --floor 0.85

nehalem:  ## some tests of each kernel on an emulated processor without AVX (tests/emulate.sh)
	PYTHON=$(PYTHON) bash tests/emulate.sh $@

haswell:  ## the same, with AVX2 and without AVX-512
	PYTHON=$(PYTHON) bash tests/emulate.sh $@

aarch64:  ## the same, cross-compiled for arm64
	PYTHON=$(PYTHON) bash tests/emulate.sh $@

docs:  ## docs/_build/html: the documentation, with the installed package; needs its extra, pip install '.[docs]'
	sphinx-build -j auto -W --keep-going -b html docs docs/_build/html

ci:  ## everything that continuous integration runs
	bash .ci/run

clean:  ## remove what builds and tests leave behind
	rm -rf build dist docs/_build docs/generated docs/sg_execution_times.rst *.egg-info .venv-* .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
