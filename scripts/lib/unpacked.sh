# shellcheck shell=bash
# Debian packages in .tools/unpacked that are not installed: tests run their programs, and nobody wants their services.

# list_unpacked LIST…: what the package lists of that name want so.
list_unpacked() {
  local list
  for list in "$@"; do
    if [[ -e "$PROJECT/scripts/packages/$list.unpacked.txt" ]]; then
      sed 's/[[:space:]]*#.*//; /^$/d' "$PROJECT/scripts/packages/$list.unpacked.txt"
    fi
  done
}

# find_unpacked LIST…: 0 when all that the lists want is there.
find_unpacked() {
  local wanted
  wanted="$(list_unpacked "$@")"
  [[ -z "$wanted" || "$(cat "$TOOLS/unpacked/installed" 2>/dev/null)" == "$wanted" ]]
}

install_unpacked() {
  local wanted incoming
  readarray -t wanted < <(list_unpacked "$@")
  incoming="$(make_incoming)/unpacked"
  mkdir "$incoming"
  # In the container of jobs they are there, and its user may not read them anew.
  if [[ "$TOOLS" == "$PROJECT/.tools" ]]; then
    require_root "to read the package lists (apt-get update)"
    read_package_lists
  fi
  with_progress "Getting, without installing them, ${wanted[*]}" unpack_packages "$incoming" "${wanted[@]}" ||
    fail "apt-get download failed for: ${wanted[*]}. Put right what it says above and run this again."
  printf '%s\n' "${wanted[@]}" >"$incoming/installed"
  move_in "$incoming" "$TOOLS/unpacked"
}

# unpack_packages DIRECTORY NAME…
unpack_packages() {
  local directory="$1" file
  shift
  (cd "$directory" && apt-get download "$@") || return 1
  for file in "$directory"/*.deb; do
    dpkg-deb --extract "$file" "$directory" || return 1
    rm "$file"
  done
}
