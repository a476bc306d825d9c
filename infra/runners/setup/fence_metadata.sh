# shellcheck shell=bash
# Only root asks the cloud who this machine is: a job would get its credentials, and with them the runners' tokens. Name
# servers of clouds have the same addresses. It stands before gitlab-runner is installed, as its package starts it.
fence_metadata() {
  put /etc/cloud-images/fence.nft <<'END'
table inet cloud_images
delete table inet cloud_images
table inet cloud_images {
  chain output {
    type filter hook output priority filter; policy accept;
    meta skuid 0 accept
    ip daddr { 169.254.169.254, 169.254.170.2, 169.254.170.23, 168.63.129.16 } tcp dport != 53 reject
    ip6 daddr { fd00:ec2::254, fd00:ec2::23, fd20:ce::254 } tcp dport != 53 reject
  }
}
END
  # At each run, as an earlier one may have ended here. The service is never restarted: that would end gitlab-runner's jobs.
  nft --file /etc/cloud-images/fence.nft
  put /etc/systemd/system/cloud-images-fence.service <<'END'
[Unit]
Description=Keep jobs from the cloud's metadata
Before=gitlab-runner.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file /etc/cloud-images/fence.nft

[Install]
WantedBy=multi-user.target
END
  put /etc/systemd/system/gitlab-runner.service.d/cloud-images.conf <<'END'
[Unit]
Requires=cloud-images-fence.service
After=cloud-images-fence.service
END
  systemctl daemon-reload
  systemctl --quiet enable --now cloud-images-fence.service
}
