#!/usr/bin/env bash
# The tests on another processor, emulated by qemu: bash tests/emulate.sh nehalem|haswell|aarch64 [arguments of pytest]
#
# nehalem, haswell: the package that python3 (or $PYTHON) has installed, on an x86-64 processor without AVX, and on one
#     with AVX2 and FMA but without AVX-512. Needs qemu-user-static.
# aarch64: this checkout, cross-compiled and installed into .venv-aarch64 with Debian's Python for arm64. Needs Debian,
#     and qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross; no root.
#
# Without arguments, runs the tests below, which go through every kernel; `tests` runs them all, at a tenth of the speed.
set -euo pipefail
cd "$(dirname "$0")/.."

machine=${1:-}
shift || true
needed=(pytest mpmath)
if [ $# -gt 0 ]; then
    needed=(pytest mpmath pandas rich scikit-learn scipy)
else
    # The digests are of all losses; without a fused multiply-add there are none, and half of the numbers are compared
    # instead, all of which the same kernels compute natively elsewhere.
    if [ "$machine" = haswell ]; then
        set -- -q tests/test_digests.py tests/test_sets.py::test_methods_agree
    else
        set -- -q tests/test_sets.py::test_methods_agree tests/test_values.py::test_kernels_are_exact -k float32
    fi
fi
python=${PYTHON:-python3}
unset FASTLOSS_ISA

# A Python like any other, in a virtual environment: sys.executable is this script, which the tests' processes start, too.
emulated_python() { # virtual environment, executable, emulator with its options
    local folder=$1 executable=$2
    shift 2
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\nexec %s -0 "$0" "%s" "$@"\n' "$*" "$executable" >"$folder/bin/python"
    chmod +x "$folder/bin/python"
    printf "home = %s\ninclude-system-site-packages = false\n" "$(dirname "$executable")" >"$folder/pyvenv.cfg"
}

case $machine in
nehalem | haswell)
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    model=${machine^}-v1
    [ "$machine" = nehalem ] || model+=,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm # qemu has none of it, and says so
    emulated_python "$folder" "$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')" \
        qemu-x86_64-static -cpu "$model"
    packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$packages"
    "$python" -c 'import sys; print(*(path for path in sys.path if path.endswith("-packages")), sep="\n")' \
        >"$packages/installed.pth"
    export OPENBLAS_CORETYPE=Nehalem # NumPy's OpenBLAS asks the real processor
    ;;
aarch64)
    folder=$PWD/.venv-aarch64
    root=$folder/root
    if [ ! -d "$root" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"/apt/{lists,archives}/partial
        touch "$folder/apt/status"
        cat >"$folder/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
Dir::State "$folder/apt";
Dir::State::status "$folder/apt/status";
Dir::Cache "$folder/apt";
Debug::NoLocking "true";
CONF
        export APT_CONFIG=$folder/apt.conf
        apt-get -qq update
        apt-get -qq -y --download-only install python3 libpython3-dev libgomp1 libstdc++6 >"$folder/apt.log"
        for package in "$folder"/apt/archives/*.deb; do dpkg-deb -x "$package" "$root.part"; done
        mv "$root.part" "$root"
        rm -r "$folder/apt"
    fi
    executable=$root/usr/bin/$(readlink "$root/usr/bin/python3")
    emulated_python "$folder" "$executable" qemu-aarch64-static -L "$root"
    # Under emulation everything but the compiler, which is Python's own for arm64: here, the cross compiler.
    pip() { "$python" -m pip --python "$folder/bin/python" install --quiet --no-compile "$@"; }
    pip "${needed[@]}" numpy 'Cython>=3.1' 'setuptools>=77'
    CFLAGS="-I$root/usr/include/${executable##*/} -idirafter $root/usr/include" FASTLOSS_WERROR=1 \
        pip --no-deps --no-build-isolation .
    ;;
*)
    sed -n '2,/^set/{/^#/p}' "$0" >&2
    exit 2
    ;;
esac

# Not `-m pytest`, which would put the package's source in the current folder before the installed package.
printf 'import sys, pytest\nsys.exit(pytest.main())\n' >"$folder/bin/tests"
"$folder/bin/python" "$folder/bin/tests" "$@"
