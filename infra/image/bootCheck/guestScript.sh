#!/bin/sh
# Runs as root inside an image that is boot-checked: says on a port that is nothing else's what became of the
# boot, waits for the answer, and switches the machine off. Needs systemd, coreutils and iproute2 only.
#
#   sh /dev/disk/by-id/virtio-boot-check NONCE PORT
#
# The report (report.ts reads it; every line ends in a line feed):
#   BOOT-CHECK-STARTED NONCE
#   BOOT-CHECK-BEGIN NONCE SIZE SHA256     of what follows, once decoded
#   ...                                    `key=value` lines in base64
#   BOOT-CHECK-END NONCE

nonce=$1
port=$2

# The login shell that started this may be hung up on, and a second start must not spoil the report.
trap '' HUP
mkdir /run/boot-check 2>/dev/null || exit 0

# The driver of a virtio port is a module, which may be late.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  [ ! -e "$port" ] || break
  sleep 2
done
# A virtio port is no terminal.
case $port in /dev/tty*) stty -F "$port" 115200 raw -echo clocal ;; esac
exec 3<>"$port"
# The firmware may have left a line unfinished here.
printf '\nBOOT-CHECK-STARTED %s\n' "$nonce" >&3

default_route() {
  ip -color=never -4 route show default | {
    read -r _ _ gateway _ interface _
    echo "$interface $gateway"
  }
}

address_of() {
  ip -color=never -4 -o address show dev "$1" scope global up | {
    read -r _ _ _ address _
    echo "$address"
  }
}

# Nothing orders "running" after DHCP: give a lease half a minute.
wait_for_route() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    [ -z "$(ip -color=never -4 route show default)" ] || return 0
    sleep 2
  done
}

first_byte_of_secure_boot() {
  variable=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
  # Four bytes of attributes, then the value.
  if [ -e "$variable" ]; then od -An -tu1 -j4 -N1 "$variable" | tr -d ' \n'; else echo absent; fi
}

firmware() {
  if [ -d /sys/firmware/efi ]; then
    echo uefi
  elif [ -e /proc/device-tree/openprom ]; then
    echo open-firmware
  else
    echo bios
  fi
}

names_of_failed_units() {
  systemctl list-units --state=failed --all --plain --no-legend --no-pager |
    while read -r unit _; do printf '%s ' "$unit"; done
}

host_keys() {
  count=0
  for key in /etc/ssh/ssh_host_*_key; do
    [ ! -s "$key" ] || count=$((count + 1))
  done
  echo "$count"
}

report() {
  state=$(systemctl is-system-running --wait)
  wait_for_route
  route=$(default_route)
  interface=${route%% *}
  failed=$(names_of_failed_units)
  echo "state=$state"
  echo "kernel=$(uname -r)"
  echo "units-active=$(systemctl list-units --state=active --plain --no-legend --no-pager | wc -l)"
  echo "units-failed=${failed% }"
  # shellcheck disable=SC2086 # one argument a unit
  [ -z "$failed" ] || failures=$(systemctl status --no-pager --lines=10 $failed 2>&1 | head -c 4000 | base64 -w 0)
  echo "failures-base64=${failures-}"
  echo "root-size-bytes=$(($(stat -f -c '%b * %S' /)))"
  echo "interface=$interface"
  echo "address=$([ -z "$interface" ] || address_of "$interface")"
  echo "gateway=${route#* }"
  echo "machine-id=$(cat /etc/machine-id)"
  echo "sshd=$(if [ -x /usr/sbin/sshd ]; then echo yes; else echo no; fi)"
  echo "ssh-host-keys=$(host_keys)"
  echo "firmware=$(firmware)"
  echo "secure-boot=$(first_byte_of_secure_boot)"
}

body=$(report)
size=$(printf '%s\n' "$body" | wc -c)
sum=$(printf '%s\n' "$body" | sha256sum | cut -d ' ' -f 1)
{
  printf 'BOOT-CHECK-BEGIN %s %s %s\n' "$nonce" "$size" "$sum"
  printf '%s\n' "$body" | base64
  printf 'BOOT-CHECK-END %s\n' "$nonce"
} >&3

# One line comes back when the display has been recorded; without it, off all the same. The port may
# have become this session's terminal, which only the foreground may read.
timeout --foreground 60 head -n 1 <&3 >/dev/null
systemctl poweroff --no-block
exit
