# shellcheck shell=bash
# Setting a machine up for the project: says what is missing, installs just that, and puts it on PATH.

LIBRARY="$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
PROJECT="$(cd -P -- "$LIBRARY/../.." && pwd)"
# The container of jobs has one place for the tools of all checkouts.
TOOLS="${CLOUD_IMAGES_TOOLS:-$PROJECT/.tools}"

# shellcheck source=scripts/lib/messages.sh
. "$LIBRARY/messages.sh"
# shellcheck source=scripts/lib/packages.sh
. "$LIBRARY/packages.sh"
# shellcheck source=scripts/lib/downloads.sh
. "$LIBRARY/downloads.sh"
# shellcheck source=scripts/lib/node.sh
. "$LIBRARY/node.sh"
# shellcheck source=scripts/lib/engine.sh
. "$LIBRARY/engine.sh"
# shellcheck source=scripts/lib/python.sh
. "$LIBRARY/python.sh"
# shellcheck source=scripts/lib/azurite.sh
. "$LIBRARY/azurite.sh"
# shellcheck source=scripts/lib/unpacked.sh
. "$LIBRARY/unpacked.sh"

# set_up LIST…: has everything ready that the package lists name, and Node, the engine and node_modules. The list azurite
# has that server and nothing else.
set_up() {
  require_debian
  if [[ "$TOOLS" != "$PROJECT/.tools" && ! -e "$PROJECT/.tools" ]]; then ln -s "$TOOLS" "$PROJECT/.tools"; fi
  look_for_what_is_missing "$@"
  if is_anything_missing; then
    (install_what_is_missing "$@")
    look_for_what_is_missing "$@"
    if is_anything_missing; then
      fail "The set-up ended, but this is still missing: $(describe_what_is_missing "$@")"
    fi
  fi
  export PATH="$ENGINE_DIRECTORY:$NODE_DIRECTORY:$PATH"
}

# Fills MISSING_PACKAGES, and leaves NODE_DIRECTORY, ENGINE_DIRECTORY, NODE_MODULES, PYTHON_PROGRAMS, AZURITE, UNPACKED or
# ID_RANGE empty where they are missing.
look_for_what_is_missing() {
  local list names lists=()
  for list in "$@"; do
    if [[ "$list" != azurite ]]; then lists+=("$PROJECT/scripts/packages/$list.txt"); fi
  done
  readarray -t names < <(list_packages "${lists[@]}")
  readarray -t MISSING_PACKAGES < <(list_missing_packages "${names[@]}")
  NODE_DIRECTORY="$(find_node)" || NODE_DIRECTORY=
  ENGINE_DIRECTORY="$(find_engine)" || ENGINE_DIRECTORY=
  NODE_MODULES="$(find_node_modules)" || NODE_MODULES=
  PYTHON_PROGRAMS=
  if find_python_programs "$@"; then PYTHON_PROGRAMS="$TOOLS/python"; fi
  AZURITE=
  if find_azurite "$@"; then AZURITE="$TOOLS/azurite"; fi
  UNPACKED=
  if find_unpacked "$@"; then UNPACKED="$TOOLS/unpacked"; fi
  ID_RANGE="$(find_id_range)" || ID_RANGE=
}

is_anything_missing() {
  ((${#MISSING_PACKAGES[@]} > 0)) ||
    [[ -z "$NODE_DIRECTORY" || -z "$ENGINE_DIRECTORY" || -z "$NODE_MODULES" || -z "$PYTHON_PROGRAMS" ||
      -z "$AZURITE" || -z "$UNPACKED" || -z "$ID_RANGE" ]]
}

# describe_what_is_missing LIST…
describe_what_is_missing() {
  if ((${#MISSING_PACKAGES[@]} > 0)); then
    printf '\n  Debian packages: %s' "${MISSING_PACKAGES[*]}"
    # Whether pip is needed shows only when the official releases turn out to be out of reach.
    if [[ -z "$NODE_DIRECTORY" || -z "$ENGINE_DIRECTORY" ]] && ! find_python_with_pip >/dev/null; then
      printf '\n    and python3-pip, if an official release below cannot be reached'
    fi
  fi
  if [[ -z "$ID_RANGE" ]]; then
    printf '\n  in /etc/subuid and /etc/subgid: a range of 65536 ids for %s' "$(id -un)"
  fi
  if [[ -z "$NODE_DIRECTORY" ]]; then
    printf '\n  in .tools/node: Node %s' "$NODE_VERSION"
  fi
  if [[ -z "$ENGINE_DIRECTORY" ]]; then
    printf '\n  in .tools/pulumi: Pulumi %s, the official release or else built from its Go modules' "$PULUMI_VERSION"
  fi
  if [[ -z "$NODE_MODULES" ]]; then
    printf '\n  in node_modules: what package-lock.json names'
  fi
  if [[ -z "$PYTHON_PROGRAMS" ]]; then
    printf '\n  in .tools/python: %s' "$(list_requirements "$@" | paste --serial --delimiters ' ')"
  fi
  if [[ -z "$AZURITE" ]]; then
    printf '\n  in .tools/azurite: what scripts/packages/azurite/package-lock.json names'
  fi
  if [[ -z "$UNPACKED" ]]; then
    printf '\n  in .tools/unpacked: %s' "$(list_unpacked "$@" | paste --serial --delimiters ' ')"
  fi
}

# Runs in a subshell: its lock and its temporary directories end with it. A second set-up of the same
# checkout waits for the first, and then finds less to do.
install_what_is_missing() {
  mkdir -p "$TOOLS"
  exec 8>"$TOOLS/lock"
  if ! flock --nonblock 8; then
    say "Another set-up of this checkout is at work. Waiting for it …"
    flock 8
    look_for_what_is_missing "$@"
  fi
  remove_incoming_at_exit
  # Some installers take Ctrl-C for an ordinary failure, after which another way would be tried.
  trap 'say "Interrupted. Run this again to go on."; exit 130' INT
  remove_incoming
  say "This will be installed:$(describe_what_is_missing "$@")"
  if ((${#MISSING_PACKAGES[@]} > 0)); then install_packages "${MISSING_PACKAGES[@]}"; fi
  if [[ -z "$ID_RANGE" ]]; then add_id_range; fi
  if [[ -z "$NODE_DIRECTORY" ]]; then install_node; fi
  if [[ -z "$NODE_MODULES" ]]; then install_node_modules; fi
  if [[ -z "$ENGINE_DIRECTORY" ]]; then install_engine; fi
  if [[ -z "$PYTHON_PROGRAMS" ]]; then install_python_programs "$@"; fi
  if [[ -z "$AZURITE" ]]; then install_azurite; fi
  if [[ -z "$UNPACKED" ]]; then install_unpacked "$@"; fi
}

# make_incoming: a new directory beside the tools, on the same file system, to be moved from in one step.
make_incoming() {
  mktemp --directory "$TOOLS/incoming.XXXXXX"
}

# make_log: a new file that goes where what is incoming goes.
make_log() {
  mktemp "$TOOLS/incoming.XXXXXX"
}

remove_incoming() {
  rm -rf "$TOOLS"/incoming.*
}

# A process that this one has just started still has its trap, and would run it if it were ended at once.
remove_incoming_at_exit() {
  # shellcheck disable=SC2064 # the process that is meant is this one
  trap "if ((BASHPID == $BASHPID)); then remove_incoming; fi" EXIT
}

# move_in NEW PLACE
move_in() {
  if [[ -e "$2" ]]; then
    mv "$2" "$(make_incoming)/old"
  fi
  mv "$1" "$2"
}

find_node_modules() {
  local stamp="$PROJECT/node_modules/.installed-from"
  [[ "$(cat "$stamp" 2>/dev/null)" == "$(hash_package_lock)" ]] && printf '%s\n' "$PROJECT/node_modules"
}

hash_package_lock() {
  sha256sum <"$PROJECT/package-lock.json"
}

# Installs exactly what package-lock.json says.
install_node_modules() {
  local node stamp="$PROJECT/node_modules/.installed-from"
  node="$(find_node)"
  rm -f "$stamp"
  with_progress "Installing Node packages" \
    env PATH="$node:$PATH" npm --prefix "$PROJECT" ci --no-audit --no-fund ||
    fail "npm ci failed. Put right what it says above and run this again."
  hash_package_lock >"$stamp"
}

# find_id_range: the current user's line in /etc/subuid, if it has one in /etc/subgid too.
find_id_range() {
  local user
  user="$(id -un)"
  awk -F: -v user="$user" -v uid="$UID" \
    '($1 == user || $1 == uid) && $3 >= 65536 { found[FILENAME] = $0 }
     END { if (length(found) < 2) exit 1; print found["/etc/subuid"] }' /etc/subuid /etc/subgid 2>/dev/null
}

# Builds without root's rights map a whole range of users (unshare --map-auto), root's own builds too.
add_id_range() {
  local user first last
  user="$(id -un)"
  require_root "to give $user a range of ids (usermod --add-subuids, --add-subgids)"
  as_root touch /etc/subuid /etc/subgid
  first="$(awk -F: '$2 + $3 > next_free { next_free = $2 + $3 } END { print (next_free < 100000 ? 100000 : next_free) }' \
    /etc/subuid /etc/subgid)"
  last=$((first + 65535))
  say "Giving $user the ids $first to $last …"
  as_root usermod --add-subuids "$first-$last" --add-subgids "$first-$last" "$user" ||
    fail "usermod could not give $user a range of ids. Add the line $user:$first:65536 to /etc/subuid and /etc/subgid and run this again."
}

# is_at_least WANTED VERSION
is_at_least() {
  [[ "$(printf '%s\n' "$1" "$2" | sort --version-sort | head -n 1)" == "$1" ]]
}

# name_architecture X86-64-NAME ARM64-NAME
name_architecture() {
  case "$(uname -m)" in
  x86_64) printf '%s\n' "$1" ;;
  aarch64) printf '%s\n' "$2" ;;
  *) fail "There is no set-up for $(uname -m), only for x86_64 and aarch64." ;;
  esac
}
