#!/bin/bash
# Takes this machine's runners away from GitLab, and what was set up for them. Packages, the user and its builds stay.
set -euo pipefail
if [[ -e /etc/gitlab-runner/config.toml ]]; then
  # What GitLab has forgotten already, or cannot be reached for, need not stop this.
  gitlab-runner unregister --all-runners </dev/null || true
  systemctl --quiet disable --now gitlab-runner || true
  rm -f /etc/gitlab-runner/config.toml
fi
for unit in cloud-images-clean-up.timer cloud-images-fence.service; do
  systemctl --quiet disable --now "$unit" 2>/dev/null || true
done
nft delete table inet cloud_images 2>/dev/null || true
rm -rf /etc/cloud-images /var/lib/cloud-images
rm -f /etc/apt/apt.conf.d/30cloud-images-cache /usr/local/sbin/cloud-images-clean-up \
  /etc/systemd/system/cloud-images-* /etc/systemd/system/gitlab-runner.service.d/cloud-images.conf \
  /etc/systemd/journald.conf.d/cloud-images.conf
systemctl daemon-reload
