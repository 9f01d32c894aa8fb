#!/bin/bash
# Stop the container that up.sh started (same DESKTOP_ID) and remove its root; the cached one stays.
set -euo pipefail
id=${DESKTOP_ID:-ckpt-lint-desktop}
bundle=${CKPT_LINT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ckpt-lint}/desktop/run/$id
runc delete --force "$id" 2>/dev/null || true
! mountpoint -q "$bundle/root" || umount "$bundle/root"
rm -rf --one-file-system "$bundle"
