#!/bin/bash
# Set up what the tests need and run all of them. As root, on a Debian-like machine with a Rust toolchain.
#
#   sudo tests/all.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Under sudo the toolchain is often the user's, and what is built should stay the user's.
if [ -n "${SUDO_USER:-}" ]; then
  home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
  if ! command -v cargo >/dev/null; then
    export PATH=$home/.cargo/bin:$PATH RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
  fi
  trap 'chown -R "$SUDO_UID:$SUDO_GID" target' EXIT
fi

tests/setup.sh
cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
mkdir -p target
log=target/tests.log
status=0
INSTA_UPDATE=no cargo test --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
awk '/^test result:/ { ok += $4; failed += $6; left_out += $8 }
  END { printf "tests: %d passed, %d failed, %d left out\n", ok, failed, left_out }' "$log"
exit "$status"
