#!/bin/bash
# Unpack the CRIU of one Debian suite, with its own C library, beside the system.
#
#   criu.sh SUITE MIRROR DIR    leaves DIR/VERSION/bin/criu and prints VERSION
#
# Nothing is installed and no package script runs. apt resolves the packages
# against an empty system and checks their signatures; bin/criu starts the
# unpacked binary through the unpacked ld.so, so the host's libc may be older.
set -euo pipefail
suite=${1:?suite} mirror=${2:?mirror} dir=${3:?directory}
work=$(mktemp -d "$dir/.unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
  echo "criu.sh: $suite: $*" >&2
  exit 1
}

# experimental is not whole by itself: what it builds on is in sid.
suites=$suite
[ "$suite" != experimental ] || suites="experimental sid"

mkdir -p "$work"/{lists,archives}/partial "$work/parts" "$work/root/usr"/{lib,lib64,bin,sbin}
: >"$work/status"
cat >"$work/debian.sources" <<CONF
Types: deb
URIs: $mirror
Suites: $suites
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
CONF
# The host's apt configuration still holds (a proxy may be in it), but its hooks do not.
cat >"$work/apt.conf" <<CONF
#clear APT::Update;
#clear DPkg;
Dir::State "$work";
Dir::State::status "$work/status";
Dir::State::lists "$work/lists";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
Dir::Etc::sourcelist "$work/debian.sources";
Dir::Etc::sourceparts "$work/parts";
Dir::Etc::preferences "$work/parts/none";
Dir::Etc::preferencesparts "$work/parts";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
export APT_CONFIG=$work/apt.conf

apt-get -q update >"$work/log" 2>&1 || fail "$(cat "$work/log")"
package=$(apt-cache madison criu | awk -v s="$suite/main" '$6 == s { print $3; exit }')
[ -n "$package" ] || fail "has no criu of its own"
version=${package%%[-+~]*}
home=$dir/$version
if "$(dirname "$0")/criu-works.sh" "$home"; then
  echo "$version"
  exit
fi

apt-get -q -y -t "$suite" --download-only install criu >"$work/log" 2>&1 || fail "$(cat "$work/log")"
# A merged /usr from the start, so that /lib and /usr/lib of different packages meet.
for d in lib lib64 bin sbin; do ln -s "usr/$d" "$work/root/$d"; done
for deb in "$work"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$work/root"
done

lib=$(cd "$work/root" && dirname usr/lib/*/libc.so.6)
ldso=$(cd "$work/root" && echo "$lib"/ld-linux*.so.*)
[ -f "$work/root/$ldso" ] || fail "no ld.so in $lib"
# An empty plugin directory: those of the host belong to another libc, and criu stops when it has none.
mkdir -p "$work/root/no-plugins" "$work/root/bin"
rm -rf "$home"
mkdir -p "$home/bin"
cat >"$home/bin/criu" <<WRAPPER
#!/bin/sh
# criu $package of Debian $suite, on its own C library.
root='$home/root'
export CRIU_LIBS_DIR="\$root/no-plugins"
exec "\$root/$ldso" --library-path "\$root/$lib:\$root/usr/lib" \\
  \${CKPT_LINT_LIMITS_PRELOAD:+--preload "\$CKPT_LINT_LIMITS_PRELOAD"} "\$root/usr/sbin/criu" "\$@"
WRAPPER
chmod 755 "$home/bin/criu"
mv "$work/root" "$home/root"
"$(dirname "$0")/criu-works.sh" "$home" || {
  "$home/bin/criu" --version >&2 || true
  rm -rf "$home"
  fail "criu $package does not run, or does not call itself $version"
}
echo "$version"
