#!/bin/bash
# Build the root file system of the desktop container, from Debian packages only.
#
#   rootfs.sh DIR    DIR is there when it is complete, and never before
set -euo pipefail
root=${1:?directory}
setup=$(cd "$(dirname "$0")/../setup" && pwd)
packages=(xfce4 xfce4-terminal tightvncserver xauth dbus-x11 ibus ibus-gtk3 im-config at-spi2-core
  gvfs x11-apps x11-utils x11-xserver-utils xfonts-base fonts-dejavu-core adwaita-icon-theme
  librsvg2-common procps)
new=$root.new

mkdir -p "$(dirname "$root")"
exec {lock}>"$root.lock"
flock "$lock"
[ ! -d "$root" ] || exit 0
rm -rf --one-file-system "$new"
debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  bookworm "$new" "$("$setup/mirror.sh")"
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$new/etc/resolv.conf"
# The packages must not start their daemons.
printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
chmod 755 "$new/usr/sbin/policy-rc.d"
# A mount namespace of its own: nothing stays mounted, whatever happens.
# shellcheck disable=SC2016 # for the inner shell to expand
unshare --mount sh -ec '
  mount --bind /proc "$1/proc"
  root=$1
  shift
  export DEBIAN_FRONTEND=noninteractive
  chroot "$root" apt-get -q -y -o Acquire::Retries=3 install --no-install-recommends "$@"
  chroot "$root" apt-get clean
' sh "$new" "${packages[@]}"
rm -f "$new/etc/resolv.conf"
mv "$new" "$root"
