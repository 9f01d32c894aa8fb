#!/bin/bash
# Start the founding story's container: XFCE, TightVNC and ibus under runc.
#
#   up.sh    prints the host pid of the container's init, once the desktop is really up
#
# DESKTOP_ID         container id                                    [ckpt-lint-desktop]
# DESKTOP_OVERLAY=1  root on overlayfs, as docker has it             [a plain directory]
# DESKTOP_HOME       directory outside to mount as /root             [in the root file system]
# DESKTOP_BUS        socket outside to mount as the system bus       [none]
# DESKTOP_WAIT       seconds the desktop may take to come up         [90]
# CKPT_LINT_CACHE    see tests/setup.sh, which must have run
#
# The container has a network namespace of its own with nothing but loopback in it,
# and a root of its own: the cached file system is copied or used as the lower layer.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
id=${DESKTOP_ID:-ckpt-lint-desktop}
cache=${CKPT_LINT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ckpt-lint}/desktop
lower=$cache/rootfs-bookworm
bundle=$cache/run/$id
root=$bundle/root
awaited=(xfce4-panel xfdesktop xfwm4 ibus-daemon ibus-x11)
settled_seconds=5

fail() {
  echo "up.sh: $*" >&2
  exit 1
}

make_root() {
  mkdir -p "$bundle"
  if [ "${DESKTOP_OVERLAY:-0}" = 1 ]; then
    mkdir "$root" "$bundle/upper" "$bundle/work"
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=$bundle/upper,workdir=$bundle/work" "$root"
  else
    cp -a --reflink=auto "$lower" "$root"
  fi
}

# The home directory as in the report, with ibus as the input method.
write_home() {
  local home=${DESKTOP_HOME:-$root/root}
  mkdir -p "$home/.vnc" "$root/tmp/.X11-unix" "$root/tmp/.ICE-unix"
  chmod 1777 "$root/tmp/.X11-unix" "$root/tmp/.ICE-unix"
  echo desktop >"$root/etc/hostname"
  echo '127.0.0.1 localhost desktop' >"$root/etc/hosts"
  echo 'run_im ibus' >"$home/.xinputrc"
  cat >"$home/.vnc/xstartup" <<'XSTARTUP'
#!/bin/sh
xsetroot -solid grey
x-terminal-emulator --geometry 80x24+10+10 &
exec /etc/X11/Xsession
XSTARTUP
  chmod 755 "$home/.vnc/xstartup"
}

bind() {
  [ -z "$2" ] || echo "{\"destination\": \"$1\", \"type\": \"bind\", \"source\": \"$2\", \"options\": [\"bind\"]},"
}

write_config() {
  local caps='"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"'
  local start="printf 'letmein\\\\nletmein\\\\nn\\\\n' | vncpasswd; vncserver :1 -geometry 1024x768 -depth 24; tail -f /dev/null"
  cat >"$bundle/config.json" <<CONFIG
{
  "ociVersion": "1.0.2",
  "hostname": "desktop",
  "root": {"path": "root"},
  "process": {
    "args": ["bash", "-c", "$start"],
    "cwd": "/root",
    "user": {"uid": 0, "gid": 0},
    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LANG=C.UTF-8"],
    "capabilities": {"bounding": [$caps], "effective": [$caps], "permitted": [$caps]}
  },
  "mounts": [
    $(bind /root "${DESKTOP_HOME:-}") $(bind /run/dbus/system_bus_socket "${DESKTOP_BUS:-}")
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
  ],
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
    "resources": {"devices": [{"allow": false, "access": "rwm"}]},
    "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
}
CONFIG
}

processes() {
  ps -eo pidns=,pid=,comm= | awk -v ns="$pidns" '$1 == ns { print $2, $3 }'
}

is_up() {
  local name
  for name in "${awaited[@]}"; do
    grep -q " $name\$" <<<"$1" || return 1
  done
}

# Up means: all there, and no process came or went for some seconds.
wait_for_desktop() {
  local now before='' quiet=0 _
  for _ in $(seq "${DESKTOP_WAIT:-90}"); do
    sleep 1
    now=$(processes)
    quiet=$((quiet + 1))
    [ "$now" = "$before" ] || quiet=0
    before=$now
    ! is_up "$now" || [ $quiet -lt $settled_seconds ] || return 0
  done
  tail -n 20 "$bundle/log" "${DESKTOP_HOME:-$root/root}"/.vnc/*.log >&2 || true
  fail "not up in ${DESKTOP_WAIT:-90} seconds; needs ${awaited[*]}, has: $(cut -d' ' -f2 <<<"$now" | sort -u | paste -sd' ')"
}

[ ! -e "$bundle" ] || fail "$id is there already; stop it with DESKTOP_ID=$id $here/down.sh"
[ -d "$lower" ] || { "$here/rootfs.sh" "$lower" >"$cache.log" 2>&1 || fail "no root file system: $(tail -n 5 "$cache.log")"; }
trap '[ $? = 0 ] || "$here/down.sh"' EXIT
make_root
write_home
write_config
# A host file as stdio would itself stop a dump.
runc --log "$bundle/log" run -d --pid-file "$bundle/pid" --bundle "$bundle" "$id" </dev/null >/dev/null 2>&1 ||
  fail "runc: $(cat "$bundle/log")"
pid=$(cat "$bundle/pid")
pidns=$(stat -L -c %i "/proc/$pid/ns/pid")
wait_for_desktop
echo "$pid"
