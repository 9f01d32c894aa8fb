#!/bin/bash
# Start what has to do with the desktop that up.sh started (same DESKTOP_ID), from outside of its tree.
#
#   client.sh vnc     a viewer, as far as the choice of how to log in; prints its pid
#   client.sh x       an X program in an exec session; prints its host pid
#   client.sh bus     one that listens on the session bus, in an exec session; prints its host pid
#   client.sh scroll  more output for the terminal than it keeps in memory; ends when all of it is there
set -euo pipefail
id=${DESKTOP_ID:-ckpt-lint-desktop}
bundle=${CKPT_LINT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ckpt-lint}/desktop/run/$id
root=$(cat "$bundle/pid")

enter() {
  runc exec -d --pid-file "$bundle/client" -e DISPLAY=:1 -e HOME=/root -e "DBUS_SESSION_BUS_ADDRESS=$(bus)" "$id" "$@"
}

bus() {
  sed -n "s/^DBUS_SESSION_BUS_ADDRESS='\(.*\)'/\1/p" "/proc/$root/root/root/.dbus/session-bus/"*
}

# With what is seen of the other end quiet again.
is_connected() {
  [[ $(readlink "/proc/$1/fd/"* || true) == *socket:* ]]
}

settled() {
  local _
  for _ in $(seq 100); do
    ! is_connected "$1" || break
    sleep 0.1
  done
  is_connected "$1"
  sleep 1
  echo "$1"
}

case $1 in
  vnc)
    # shellcheck disable=SC2016 # for the inner shell to expand
    setsid nsenter --target "$root" --net bash -c '
      exec 3<>/dev/tcp/127.0.0.1/5901
      read -r -n 12 hello <&3
      echo "$hello" >&3
      sleep 1000' >/dev/null 2>&1 &
    settled $!
    ;;
  x)
    enter xclock </dev/null >/dev/null 2>&1
    settled "$(cat "$bundle/client")"
    ;;
  bus)
    enter dbus-monitor </dev/null >/dev/null 2>&1
    settled "$(cat "$bundle/client")"
    ;;
  scroll)
    # A terminal that runs already opens the window, and the program that asked it to ends.
    enter xfce4-terminal -x sh -c 'seq 1500000; touch /tmp/scrolled; exec sleep 1000' </dev/null >/dev/null 2>&1
    for _ in $(seq 300); do
      [ ! -e "/proc/$root/root/tmp/scrolled" ] || exit 0
      sleep 0.2
    done
    exit 1
    ;;
esac
