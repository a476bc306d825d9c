#!/bin/bash
# Usage: target=DIRECTORY ROOTCMD="chroot DIRECTORY" updateBase.sh [--lists]
#
# In place of FAI's updatebase, which asks the archive anew for every image. The package lists came with the base
# system, which is up to date: only where classes have brought other apt sources are they fetched again, and only
# there, or where classes prefer some versions, is there anything to upgrade. With --lists, nothing is upgraded.
set -e
cd "$target/etc/apt"
ours=$target/var/lib/apt
base=$ours/sources-of-base
listed=$ours/sources-of-lists
[ -e "$listed" ] || cp "$base" "$listed"

sources=$(cat sources.list sources.list.d/* 2>/dev/null || true)
if [ "$sources" != "$(cat "$listed")" ]; then
  $ROOTCMD apt-get -y update
  printf '%s\n' "$sources" > "$listed"
fi
if [ "${1-}" = --lists ]; then exit; fi
preferences=$(cat preferences preferences.d/* 2>/dev/null || true)
if [ -n "$preferences" ] || [ "$sources" != "$(cat "$base")" ]; then
  $ROOTCMD apt-get -y -o Dpkg::Options::=--force-confnew dist-upgrade
fi
