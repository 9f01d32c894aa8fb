#!/bin/bash
# Set up what the live tests need, on a Debian-like machine, as root.
#
#   tests/setup.sh
#
# Installs the missing Debian packages, unpacks at least three releases of the
# real CRIU (setup/criu.sh) and builds the preload for test machines without
# CAP_SYS_RESOURCE. All but the packages goes to the cache:
#   ${CKPT_LINT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ckpt-lint}
#     criu/VERSION/bin/criu     usable as `criu` on PATH and as `runc --criu`
#     limits_preload.so         for CKPT_LINT_LIMITS_PRELOAD (see setup/limits_preload.c)
# Run again, it only checks, without network.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${CKPT_LINT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ckpt-lint}
packages=(busybox-static debian-archive-keyring debootstrap gcc iproute2 iptables libc6-dev make
  procps tar util-linux xz-utils)
# Engines count as there when their command is, whoever packaged them.
engines=(runc containerd dockerd)
# In order of preference; the later ones serve when a release has left the earlier ones.
suites=(trixie sid experimental testing forky)
enough=3
newest_at_least=4.2

fail() {
  echo "setup.sh: $*" >&2
  exit 1
}

# apt-get waits for dpkg's lock by itself, but for none of its others.
apt_get() {
  local log try
  log=$(mktemp)
  for try in {1..60}; do
    if DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 "$@" >"$log" 2>&1; then
      rm -f "$log"
      return 0
    fi
    grep -qE 'Could not get lock|Unable to lock' "$log" || break
    [ "$try" = 60 ] || sleep 5
  done
  cat "$log" >&2
  rm -f "$log"
  return 1
}

# Without a policy of the machine's own, the packages would start their daemons.
install_quietly() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  apt_get install --no-install-recommends --no-remove "$@"
)

install() {
  [ $# -gt 0 ] || return 0
  echo "installing $*"
  install_quietly "$@" || {
    echo "once more, after apt-get update"
    apt_get update
    install_quietly "$@"
  }
}

install_missing() {
  local package engine missing=()
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done
  for engine in "${engines[@]}"; do
    command -v "$engine" >/dev/null || missing+=("${engine/dockerd/docker.io}")
  done
  install "${missing[@]}"
  # From Debian 13 on the client is a package of its own.
  command -v docker >/dev/null || install docker-cli
}

working_crius() {
  local home
  for home in "$cache"/criu/*/; do
    ! "$here/setup/criu-works.sh" "${home%/}" || basename "$home"
  done | sort -V
}

enough_crius() {
  local versions newest
  mapfile -t versions < <(working_crius)
  [ ${#versions[@]} -ge $enough ] || return 1
  newest=${versions[-1]}
  [ "$(printf '%s\n' $newest_at_least "$newest" | sort -V | head -1)" = $newest_at_least ]
}

unpack_crius() {
  local mirror suite version
  mirror=$("$here/setup/mirror.sh" 2>/dev/null) || {
    apt_get update
    mirror=$("$here/setup/mirror.sh")
  }
  for suite in "${suites[@]}"; do
    ! enough_crius || return 0
    if version=$("$here/setup/criu.sh" "$suite" "$mirror" "$cache/criu"); then
      echo "criu $version from $suite"
    fi
  done
  enough_crius || fail "the tests need $enough releases of CRIU, one of them $newest_at_least or later;" \
    "got: $(working_crius | paste -sd' ')"
}

build_preload() {
  local source=$here/setup/limits_preload.c built=$cache/limits_preload.so
  [ "$source" -nt "$built" ] || return 0
  gcc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -fno-stack-protector -U_FORTIFY_SOURCE \
    -shared -nostdlib -o "$built.new" "$source"
  mv "$built.new" "$built"
}

[ "$(id -u)" = 0 ] || fail "must be root: the live tests start containers and dump them"
command -v apt-get >/dev/null || fail "needs a Debian-like machine (apt-get)"
mkdir -p "$cache/criu"
exec {lock}>"$cache/.lock"
flock "$lock"

install_missing
unpack_crius
build_preload
echo "ready: criu $(working_crius | paste -sd' ') in $cache/criu"
