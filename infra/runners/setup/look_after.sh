# shellcheck shell=bash
# The machine looks after itself: security updates every day, logs that end, and the right time.
look_after() {
  put /etc/apt/apt.conf.d/20auto-upgrades <<'END'
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
APT::Periodic::AutocleanInterval "7";
END
  put /etc/systemd/journald.conf.d/cloud-images.conf <<'END'
[Journal]
SystemMaxUse=500M
MaxRetentionSec=1month
END
  restart_for /etc/systemd/journald.conf.d/cloud-images.conf systemd-journald
  systemctl --quiet enable --now logrotate.timer apt-daily.timer apt-daily-upgrade.timer
  if command -v chronyd ntpd >/dev/null; then return; fi
  systemctl --quiet enable --now systemd-timesyncd
}
