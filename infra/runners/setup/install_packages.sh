# shellcheck shell=bash
# What builds and these steps need of Debian.
install_packages() {
  # One clock is enough: apt would take the other away.
  command -v chronyd ntpd >/dev/null || PACKAGES+=(systemd-timesyncd)
  update_lists
  apt_get install --yes --no-install-recommends --no-upgrade "${PACKAGES[@]}"
}
