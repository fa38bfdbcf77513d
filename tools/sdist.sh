#!/usr/bin/env bash
# An sdist with the same bytes wherever it is built: SOURCE_DATE_EPOCH=... bash tools/sdist.sh <python with build> <folder>
# setuptools leaves the files their times, owners and modes; here they all get the same.
set -euo pipefail
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" -m build --sdist --outdir "$work" . >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cd "$work"
tar -xzf ./*.tar.gz
name=$(basename ./*.tar.gz)
tar -cf - --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=posix \
    --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' "${name%.tar.gz}" | gzip -9n >"$out/$name"
echo "$out/$name"
