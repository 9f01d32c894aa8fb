#!/bin/bash
# Print the base address of the Debian mirror this machine already uses.
#
# apt itself reads its sources (one-line and deb822 forms alike) and the signed
# Release files; the main archive is the one that calls itself Debian/Debian.
# CKPT_LINT_DEBIAN_MIRROR overrides it, for relatives of Debian with no such source.
set -euo pipefail

if [ -n "${CKPT_LINT_DEBIAN_MIRROR:-}" ]; then
  echo "${CKPT_LINT_DEBIAN_MIRROR%/}"
  exit
fi
# shellcheck disable=SC2016 # $(REPO_URI) is for apt to expand
found=$(apt-get indextargets --format '$(REPO_URI)' \
  'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | sed -n '1s:/*$::p')
if [ -z "$found" ]; then
  echo "mirror.sh: no Debian archive among the apt sources that were fetched;" \
    "run 'apt-get update', or set CKPT_LINT_DEBIAN_MIRROR" >&2
  exit 1
fi
echo "$found"
