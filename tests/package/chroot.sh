#!/bin/bash
# SPDX-License-Identifier: MIT
# chroot.sh DIRECTORY: installs the Debian packages in it into a bare Debian of this machine's
# release, from this machine's mirror; publishes and subscribes there; builds a C program with the
# development package; takes them off again. Needs root, and the network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
debs=$(realpath "$1")
work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system "$work"' EXIT

codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
# shellcheck disable=SC2016 # apt-get expands it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    "Codename: $codename" | sed -n 1p)
[ -n "$mirror" ] || { echo "apt knows no mirror of $codename"; exit 1; }

inside() {
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root \
        DEBIAN_FRONTEND=noninteractive "$@"
}
quietly_inside() {
    inside "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "failed: $*"; exit 1; }
}

echo "a bare $codename"
debootstrap --variant=minbase "$codename" "$root" "$mirror" >"$work/log" 2>&1 ||
    { tail -20 "$work/log"; exit 1; }
! inside which gcc || { echo "it is not bare"; exit 1; }
cp "$debs"/*.deb "$root/tmp"
cp "$here/user/main.c" "$root/tmp"
cp "$here/in_chroot.sh" "$root/tmp"

echo "libzbq1 and zbq-tools"
quietly_inside sh -c 'apt-get install -y --no-install-recommends /tmp/libzbq1_*.deb /tmp/zbq-tools_*.deb'
inside bash /tmp/in_chroot.sh tool
echo "python3-zbq"
quietly_inside sh -c 'apt-get install -y --no-install-recommends /tmp/python3-zbq_*.deb'
inside bash /tmp/in_chroot.sh python
echo "libzbq-dev"
quietly_inside sh -c 'apt-get install -y --no-install-recommends /tmp/libzbq-dev_*.deb gcc libc6-dev pkg-config'
inside bash /tmp/in_chroot.sh development
echo "zbq-bridge"
quietly_inside sh -c 'apt-get install -y --no-install-recommends /tmp/zbq-bridge_*.deb'
inside zbq bridge --help >"$work/log"
echo "purged"
quietly_inside apt-get purge -y libzbq1 libzbq-dev zbq-tools zbq-bridge python3-zbq
inside bash /tmp/in_chroot.sh purged
