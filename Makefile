.DEFAULT_GOAL := help
PYTHON ?= python3

.PHONY: help build test lint doctest sanitize ci clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

build:  ## build and install into the current environment, with what the tests need
	FASTLOSS_WERROR=1 $(PYTHON) -m pip install '.[test]'

test:  ## run the tests against the installed package
	pytest

lint:  ## run every linter, as configured in .pre-commit-config.yaml
	pre-commit run --all-files

doctest:  ## run the examples in the docstrings of the installed package
	pytest --doctest-modules --doctest-ignore-import-errors --pyargs fastloss

sanitize:  ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer, in a virtual environment of its own
	$(PYTHON) -m venv .venv-sanitize
	FASTLOSS_EXTRA_FLAGS='-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined' \
	    .venv-sanitize/bin/pip install '.[test]'
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 .venv-sanitize/bin/pytest

ci:  ## everything that continuous integration runs
	bash .ci/run

clean:  ## remove what builds and tests leave behind
	rm -rf build dist *.egg-info .venv-sanitize .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
