# shellcheck shell=bash
# Builds run as gitlab-runner, with a range of ids and /dev/kvm, and without root's rights.
prepare_user() {
  local range
  # To be there, and as it was.
  : >>/etc/subuid
  : >>/etc/subgid
  if ! has_range /etc/subuid || ! has_range /etc/subgid; then
    range="$(awk -F: '$2 + $3 > next_free { next_free = $2 + $3 }
      END { first = next_free < 100000 ? 100000 : next_free; print first "-" first + 65535 }' /etc/subuid /etc/subgid)"
    usermod --add-subuids "$range" --add-subgids "$range" gitlab-runner
  fi
  if getent group kvm >/dev/null && ! id --name --groups gitlab-runner | grep --quiet --word-regexp kvm; then
    usermod --append --groups kvm gitlab-runner
  fi
}

has_range() {
  awk -F: '$1 == "gitlab-runner" && $3 >= 65536 { found = 1 } END { exit !found }' "$1"
}
