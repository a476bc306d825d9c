# shellcheck shell=bash
# Debian packages: which of a list are missing, and installing them.

# list_packages FILE…: the names in package lists that are for this machine's architecture.
list_packages() {
  local architecture=amd64
  if [[ "$(uname -m)" == aarch64 ]]; then
    architecture=arm64
  fi
  awk -v architecture="[$architecture]" \
    '{ sub(/#.*/, "") } NF == 1 || (NF == 2 && $2 == architecture) { print $1 }' "$@"
}

require_debian() {
  command -v dpkg-query >/dev/null ||
    fail "dpkg-query is missing. These scripts set up Debian 12 and 13 machines, and no others."
}

# list_missing_packages NAME…: those that are not installed, nor provided by a package that is: Debian 13 has programs
# in packages of their own that Debian 12 has in larger ones.
list_missing_packages() {
  dpkg-query --show --showformat '${db:Status-Status} ${Package} ${Provides}\n' |
    awk -v wanted="$*" '
      $1 == "installed" { for (i = 2; i <= NF; i++) { sub(/,$/, "", $i); installed[$i] = 1 } }
      END {
        count = split(wanted, names, " ")
        for (i = 1; i <= count; i++) if (!(names[i] in installed)) print names[i]
      }'
}

# require_root PURPOSE: fails early, and in words, where root's rights cannot be had.
require_root() {
  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    fail "Root's rights are needed $1, and there is no sudo. Run this as root, or have that done first."
  fi
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo "$@"
  fi
}

read_package_lists() {
  if [[ -n "${PACKAGE_LISTS_ARE_READ:-}" ]]; then return; fi
  with_progress "Reading Debian's package lists" \
    as_root apt-get -o DPkg::Lock::Timeout=300 update ||
    fail "apt-get update failed. Put the machine's apt sources right and run this again."
  PACKAGE_LISTS_ARE_READ=yes
}

install_packages() {
  require_root "to install Debian packages (apt-get install --no-install-recommends $*)"
  read_package_lists
  with_progress "Installing Debian packages" \
    as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@" ||
    fail "apt-get install failed for: $*. Put right what it says above and run this again."
}
