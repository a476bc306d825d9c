# shellcheck shell=bash
# Caches of builds make room when the disk gets full: those that were not used for longest first, none of the last day.
clean_up() {
  put /usr/local/sbin/cloud-images-clean-up 755 <<END
#!/bin/bash
set -euo pipefail
builds=/home/gitlab-runner/builds
[[ -d "\$builds" ]] || exit 0
for days in 28 14 7 3 1; do
  (( \$(df --output=pcent "\$builds" | tail --lines 1 | tr --delete --complement 0-9) > $DISK_SHARE )) || exit 0
  find "\$builds" /var/cache/apt-cacher-ng -type f -mtime "+\$days" -atime "+\$days" \\
    \\( -path '*/.cache/*' -o -path '*/.state/logs/*' -o -path '/var/cache/apt-cacher-ng/*' \\) -delete
  find "\$builds" -path '*/.cache/*' -type d -empty -mtime +1 -delete
done
END
  put /etc/systemd/system/cloud-images-clean-up.service <<'END'
[Unit]
Description=Keep caches of builds below their share of the disk

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/cloud-images-clean-up
Nice=19
IOSchedulingClass=idle
END
  put /etc/systemd/system/cloud-images-clean-up.timer <<'END'
[Unit]
Description=Keep caches of builds below their share of the disk

[Timer]
OnCalendar=hourly
RandomizedDelaySec=600

[Install]
WantedBy=timers.target
END
  systemctl daemon-reload
  systemctl --quiet enable --now cloud-images-clean-up.timer
}
