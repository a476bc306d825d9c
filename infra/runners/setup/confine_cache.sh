# shellcheck shell=bash
# Before it is installed, as its package starts it: the cache of packages is for this machine alone.
confine_cache() {
  put /etc/apt-cacher-ng/zz_cloud_images.conf <<'END'
BindAddress: 127.0.0.1
Port: 3142
ReportPage:
END
}
