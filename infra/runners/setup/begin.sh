# shellcheck shell=bash
# What the steps have in common.

# put FILE [MODE]: has standard input in FILE. A file that is so already stays as it is; the others are noted in CHANGED.
put() {
  local mode="${2:-644}" new
  mkdir -p "${1%/*}"
  new="$(mktemp "$1.XXXXXX")"
  cat >"$new"
  chmod "$mode" "$new"
  if cmp --silent "$new" "$1" && [[ "$(stat --format %a "$1")" == "$mode" ]]; then
    rm "$new"
    return
  fi
  mv "$new" "$1"
  CHANGED+=("$1")
}

# has_changed PATTERN: whether a file of such a path was written in this run.
has_changed() {
  local file
  for file in "${CHANGED[@]}"; do
    # shellcheck disable=SC2053 # it is a pattern
    [[ "$file" != $1 ]] || return 0
  done
  return 1
}

# restart_for FILE UNIT: has a service know FILE, also where an earlier run ended between writing it and this.
restart_for() {
  local known="/var/lib/cloud-images/$2"
  [[ "$1" -nt "$known" ]] || return 0
  systemctl restart "$2"
  mkdir -p "${known%/*}"
  touch "$known"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet -o DPkg::Lock::Timeout=900 -o Acquire::Retries=5 "$@" </dev/null >/dev/null
}

# Nothing waits for the lock of lists as DPkg::Lock::Timeout does for the other one, and apt's own timers take it at boot.
update_lists() {
  local attempt
  for attempt in {1..60}; do
    ((attempt == 1)) || sleep 5
    if apt_get update; then return; fi
  done
  fail "apt-get update fails."
}

fail() {
  printf 'cloud-images: %s\n' "$*" >&2
  exit 1
}
