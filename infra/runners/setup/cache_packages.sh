# shellcheck shell=bash
# Packages that one build fetched are there for the next one: a cache that only this machine reaches.
cache_packages() {
  local list
  # It cannot look into https; what it hands on is signed either way.
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/apt/mirrors/*.list; do
    [[ ! -f "$list" ]] || sed 's,https://deb\.debian\.org/,http://deb.debian.org/,' "$list" | put "$list"
  done
  restart_for /etc/apt-cacher-ng/zz_cloud_images.conf apt-cacher-ng
  systemctl --quiet enable --now apt-cacher-ng
  put /etc/apt/apt.conf.d/30cloud-images-cache <<'END'
Acquire::http::Proxy "http://127.0.0.1:3142";
Acquire::https::Proxy "DIRECT";
END
}
