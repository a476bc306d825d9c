#!/bin/bash
# Usage: classes="A B …" FAI=CONFIG_SPACE FAI_ROOT=DIRECTORY target=DIRECTORY ROOTCMD="chroot DIRECTORY" layerInstall.sh
#
# Installs the packages of some FAI classes into a root file system, by FAI's own programs: what matters of its tasks
# debconf, repository, updatebase and instsoft, and then the hooks for the end of a layer, hooks/layer.CLASS.
set -e
set -o allexport
for class in $classes; do
  if [ -f "$FAI/class/$class.var" ]; then . "$FAI/class/$class.var"; fi
done
set +o allexport

fai-debconf -s "$FAI/debconf"
fcopy -B -M -i -r /etc/apt
updatebase --lists
install_packages
for class in $classes; do
  if [ -x "$FAI/hooks/layer.$class" ]; then
    echo "Calling hook layer.$class"
    "$FAI/hooks/layer.$class"
  fi
done
