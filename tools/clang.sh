#!/usr/bin/env bash
# The newest Clang that has these libraries, and where they are: bash tools/clang.sh libclang_rt.tsan libarcher
# CLANG=clang-17 asks for one version.
set -euo pipefail
for clang in ${CLANG:-$(compgen -c clang- | grep -xE 'clang-[0-9]+' | sort -ruV) clang}; do
    resources=$("$clang" -print-resource-dir 2>/dev/null) || continue
    found=$clang
    for library; do
        for file in "$resources"/lib/*/"$library"{"-$(uname -m)",}.so "$resources/../../$library.so"; do
            [ -e "$file" ] && found+=" $file" && continue 2
        done
        continue 2
    done
    echo "$found"
    exit
done
echo "${CLANG:-Clang} with ${*:-nothing else} is needed, and is not here." >&2
echo "Debian, Ubuntu: apt-get install clang-16 libclang-rt-16-dev libomp-16-dev llvm-16 (or another version)" >&2
exit 1
