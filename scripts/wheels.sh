#!/usr/bin/env bash
# Collect the wheels that the images install, so that building them needs no network and takes what uv.lock says.
#
#   scripts/wheels.sh [PYTHON_VERSION]      the exact Python of the base image, e.g. 3.12 (default) or 3.11.2
#
# Writes wheels/deps (what we depend on), wheels/deps/EXTRA.txt (what each image takes) and wheels/project (our own wheel).
set -euo pipefail
cd "$(dirname "$0")/.."

python_version=${1:-3.12}
extras=(analytics cosmic discord_bot gateway ledger research runner simulator)
machine=$(uname -m)
uv=$("${PYTHON:-python3}" scripts/bootstrap.py --uv)

named_by_lock() { grep -q "$(sha256sum "$1" | cut -d' ' -f1)" uv.lock; }

mkdir -p wheels/deps
rm -rf wheels/project wheels/deps/*.txt
for wheel in wheels/deps/*.whl; do # of an older lock
  [ ! -e "$wheel" ] || named_by_lock "$wheel" || rm "$wheel"
done
"$uv" build --quiet --wheel --out-dir wheels/project

# Python's minor version alone is not enough: a marker such as python_full_version < "3.11.3" decides about a package.
for extra in "${extras[@]}"; do
  "$uv" export --quiet --frozen --no-hashes --no-emit-project --extra "$extra" -o wheels/lock.txt >/dev/null
  "$uv" pip compile --quiet --no-header --no-annotate --python-version "$python_version" \
    --python-platform "$machine-manylinux_2_28" -c wheels/lock.txt --extra "$extra" pyproject.toml \
    -o "wheels/deps/$extra.txt" >/dev/null
done
rm -f wheels/lock.txt
sort -u wheels/deps/*.txt > wheels/all.txt

minor=$(echo "$python_version" | cut -d. -f1,2)
"$uv" tool run pip download -qq --no-deps --only-binary=:all: --python-version "$minor" \
  --platform "manylinux2014_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux_2_28_$machine" \
  -r wheels/all.txt -d wheels/deps
rm -f wheels/all.txt

for wheel in wheels/deps/*.whl; do
  if ! named_by_lock "$wheel"; then
    echo "wheels: $wheel is not a file that uv.lock names: the index gave another one. Nothing is built from it." >&2
    exit 1
  fi
done
echo "wheels: $(find wheels -name '*.whl' | wc -l) wheels for Python $python_version in wheels/, all named by uv.lock"
