#!/bin/bash
# Usage: boot.sh ROOT UNPACKED PORT
# In namespaces of its own: makes ROOT a machine with this one's programs and nothing else of it, and serves ssh there.
set -euo pipefail
root="$1" unpacked="$2" port="$3"

mount --bind "$root" "$root"
mkdir -p "$root"/{usr,proc,dev,tmp,run/sshd,var/log,var/lib,home,root}
mount --rbind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr" 2>/dev/null || true
mount --bind "$root/programs" "$root/usr/local"
mount --bind "$unpacked/usr/lib/openssh" "$root/usr/lib/openssh"
for directory in bin sbin lib lib64; do ln -sfn "usr/$directory" "$root/$directory"; done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
chmod 1777 "$root/tmp"
install -D "$unpacked/usr/sbin/sshd" "$root/opt/sshd"
chmod 700 "$root/root/.ssh"
chmod 600 "$root/root/.ssh/authorized_keys" "$root/etc/ssh/host-key"
exec chroot "$root" /opt/sshd -D -e -f /etc/ssh/sshd_config -p "$port"
