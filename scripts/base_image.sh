#!/usr/bin/env bash
# Build a base image from Debian packages alone, for machines that reach a Debian mirror but no image registry.
#
#   scripts/base_image.sh [NAME]        writes base.tar and imports it as NAME (default omega-base:bookworm)
#
# Environment: EXTRA_PACKAGES (space separated), DEBIAN_MIRROR. Needs mmdebstrap and a running Docker engine.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:-omega-base:bookworm}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
packages=ca-certificates,python3,python3-venv
[ -z "${EXTRA_PACKAGES:-}" ] || packages="$packages,${EXTRA_PACKAGES// /,}"

if ! command -v mmdebstrap >/dev/null; then
  echo "base_image: mmdebstrap is not installed. Install it (apt-get install mmdebstrap) and run this again." >&2
  exit 3
fi

rm -f base.tar
mmdebstrap --quiet --variant=minbase --include="$packages" \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  bookworm base.tar "$mirror"
docker import base.tar "$name" >/dev/null
rm -f base.tar
echo "base_image: $name is ready ($(docker image inspect --format '{{.Size}}' "$name" | awk '{print int($1/1e6)}') MB)"
