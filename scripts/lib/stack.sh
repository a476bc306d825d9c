# shellcheck shell=bash
# Pulumi as this project runs it: where its state is, which passphrase a stack has, one run at a time.

PROJECT_NAME=cloud-images
STATE="$PROJECT/.state"
OWN_BACKEND="$STATE/backend"

# use_project_environment: the engine's environment, except for what depends on the stack.
use_project_environment() {
  export PULUMI_HOME="${PULUMI_HOME:-$STATE/pulumi-home}"
  export PULUMI_SKIP_UPDATE_CHECK=true
  # The engine would get those of all packages of node_modules; see install_plugins.
  export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true
  # The engine is short-lived: rarer collections save it a fifth of its processor time with hundreds of images.
  export GOGC="${GOGC:-400}"
  # One platform failing stops nothing else.
  export PULUMI_CONTINUE_ON_ERROR="${PULUMI_CONTINUE_ON_ERROR:-true}"
  if [[ -z "${PULUMI_BACKEND_URL:-}" ]]; then
    mkdir -p "$OWN_BACKEND"
    PULUMI_BACKEND_URL="$(name_own_backend)"
    export PULUMI_BACKEND_URL
  fi
}

# install_plugins STACK: the provider plugins that its sections need, as far as they are not there. They are kept with the
# tools, which outlast a job's checkout. What cannot be had is named by the engine when it is needed.
install_plugins() {
  local name version
  [[ -e "$PROJECT/Pulumi.$1.yaml" ]] || return 0
  grep -Eq '^ +"?cloud-images:(account|azure|ec2|gce|gitlab|runnerHosts)"?:' "$PROJECT/Pulumi.$1.yaml" || return 0
  if [[ "$PULUMI_HOME" == "$STATE/pulumi-home" && ! -e "$PULUMI_HOME/plugins" ]]; then
    mkdir -p "$PULUMI_HOME" "$PROJECT/.tools/plugins"
    ln -sfn ../../.tools/plugins "$PULUMI_HOME/plugins"
  fi
  while read -r name version; do
    if command -v "pulumi-resource-$name" >/dev/null || [[ -d "$PULUMI_HOME/plugins/resource-$name-v$version" ]]; then
      continue
    fi
    say "Installing the provider plugin $name $version …"
    pulumi plugin install resource "$name" "v$version" >&2 ||
      say "The plugin $name cannot be had from here. Install it by hand: scripts/pulumi plugin install resource $name v$version --file ARCHIVE"
  done < <(node scripts/lib/needed-plugins.ts "$1")
}

name_own_backend() {
  local path="${OWN_BACKEND//%/%25}"
  path="${path// /%20}"
  path="${path//\?/%3F}"
  printf 'file://%s\n' "${path//#/%23}"
}

is_own_backend() {
  [[ "$PULUMI_BACKEND_URL" == "$(name_own_backend)" ]]
}

# read_command_line ARGUMENT…: puts a pulumi command line's words into COMMAND, without its flags, and the
# stack that it names into NAMED_STACK.
read_command_line() {
  COMMAND=()
  NAMED_STACK=
  while (($# > 0)); do
    case "$1" in
    --stack | -s)
      NAMED_STACK="${2:-}"
      shift
      ;;
    --stack=* | -s=*) NAMED_STACK="${1#*=}" ;;
    # The other flags that can come before the command, and have a value.
    --cwd | -C | --color | --verbose | -v | --tracing | --profiling) shift ;;
    -*) ;;
    *) COMMAND+=("$1") ;;
    esac
    shift || break
  done
  case "${COMMAND[*]:0:2}" in
  "stack init" | "stack new" | "stack select" | "stack rm" | "stack remove" | "stack delete")
    NAMED_STACK="${NAMED_STACK:-${COMMAND[2]:-}}"
    ;;
  esac
}

# choose_stack ARGUMENT…: the stack that a pulumi command line is about, or nothing where none is chosen.
choose_stack() {
  local stack
  read_command_line "$@"
  stack="${NAMED_STACK:-${PULUMI_STACK:-$(pulumi stack --show-name 2>/dev/null || true)}}"
  printf '%s\n' "${stack##*/}"
}

# choose_passphrase STACK: `local` has the empty one; every other stack of the project's own backend has
# this checkout's, made when it is first needed. Whatever the user set is left alone.
choose_passphrase() {
  local stack="$1" file="$STATE/passphrase"
  if [[ -n "${PULUMI_CONFIG_PASSPHRASE+set}" || -n "${PULUMI_CONFIG_PASSPHRASE_FILE:-}" ]]; then
    return
  fi
  if [[ "$stack" == local ]]; then
    export PULUMI_CONFIG_PASSPHRASE=
    return
  fi
  if [[ ! -e "$file" ]]; then
    # A stack that has secrets already was given its passphrase elsewhere: a new one would not open them.
    if has_secrets "$stack"; then return; fi
    make_passphrase "$file"
  fi
  export PULUMI_CONFIG_PASSPHRASE_FILE="$file"
}

has_secrets() {
  grep --quiet --extended-regexp '^(encryptionsalt|secretsprovider|encryptedkey):' "$PROJECT/Pulumi.$1.yaml" 2>/dev/null
}

make_passphrase() {
  local file="$1"
  mkdir -p "$STATE"
  (umask 077 && head -c 32 /dev/urandom | base64 >"$file.new")
  mv "$file.new" "$file"
  say "Made a passphrase for this checkout's stacks in ${file#"$PROJECT"/}. Keep a copy: their secrets cannot be read without it."
}

# changes_state ARGUMENT…: whether a pulumi command line changes a stack's state.
changes_state() {
  if [[ " $* " =~ " -h "|" --help "|" --preview-only " ]]; then
    return 1
  fi
  read_command_line "$@"
  case "${COMMAND[0]:-}" in
  up | update | refresh | destroy | down | dn | import | watch | state) return 0 ;;
  esac
  case "${COMMAND[*]:0:2}" in
  "stack rm" | "stack remove" | "stack delete" | "stack rename" | "stack import" | "stack change-secrets-provider") return 0 ;;
  esac
  return 1
}

# needs_plugins ARGUMENT…: whether a pulumi command line has the engine ask providers.
needs_plugins() {
  if [[ " $* " =~ " -h "|" --help " ]]; then
    return 1
  fi
  read_command_line "$@"
  case "${COMMAND[0]:-}" in
  preview | pre | up | update | refresh | destroy | down | dn | import | watch) return 0 ;;
  esac
  return 1
}

# hold_stack STACK: makes this process, and what it starts, the only ones that change the stack.
# The kernel drops the hold when the last of them has ended, however it ended.
hold_stack() {
  local stack="$1" file="$STATE/locks/$1" attempt holders run
  mkdir -p "$STATE/locks"
  exec 9>>"$file"
  for ((attempt = 0; attempt < 5; attempt++)); do
    if flock --timeout "$((attempt > 0))" 9; then
      printf '%s\n' "$$" >"$file"
      clear_stale_lock "$stack"
      return
    fi
    readarray -t holders < <(list_holders "$file")
    run="$(find_run "$(cat "$file")" "${holders[@]}")"
    if [[ -n "$run" ]] && ((attempt == 0)); then
      say "Stack $stack is being changed by another run (process $run). Waiting a few seconds for it to end …"
    elif [[ -z "$run" ]]; then
      end_leftovers "$attempt" "${holders[@]}"
    fi
  done
  fail "Stack $stack is being changed by another run (process ${run:-$(cat "$file")}), so this one did nothing. Wait for that run, or end it, and try again."
}

# list_holders FILE: the other processes that have the lock, which is passed on as file descriptor 9.
list_holders() {
  local description pid
  for description in /proc/[0-9]*/fdinfo/9; do
    pid="${description//[!0-9]/ }"
    read -r pid _ <<<"$pid"
    if [[ "$pid" != "$$" && "$pid" != "$BASHPID" && "/proc/$pid/fd/9" -ef "$1" ]] && grep --quiet '^lock:' "$description" 2>/dev/null; then
      printf '%s\n' "$pid"
    fi
  done
}

# find_run RECORDED HOLDER…: the holder that is a run, and not what a killed run left.
find_run() {
  local recorded="$1" holder
  shift
  for holder in "$@"; do
    if [[ "$holder" == "$recorded" || "$(cat "/proc/$holder/comm" 2>/dev/null)" == pulumi ]]; then
      printf '%s\n' "$holder"
      return
    fi
  done
}

# end_leftovers ATTEMPT HOLDER…: a killed engine's plugins know nothing of its end, and would wait forever.
end_leftovers() {
  local signal=TERM
  if (($1 == 0)); then
    say "The last run was killed: ending what it left (processes ${*:2}) …"
  elif (($1 > 1)); then
    signal=KILL
  fi
  kill "-$signal" "${@:2}" 2>/dev/null || true
}

# clear_stale_lock STACK: a killed engine leaves its lock in the backend. While this process holds the stack,
# such a lock can only be live if somebody started an engine without these scripts.
clear_stale_lock() {
  local stack="$1" locks lock pid
  locks=("$OWN_BACKEND/.pulumi/locks/organization/$PROJECT_NAME/$stack"/*.json)
  [[ -e "${locks[0]}" ]] || return 0
  for lock in "${locks[@]}"; do
    pid="$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$lock")"
    if grep --quiet --fixed-strings "\"hostname\":\"$(uname -n)\"" "$lock" &&
      [[ "$(cat "/proc/$pid/comm" 2>/dev/null)" == pulumi ]]; then
      fail "Stack $stack is being changed by pulumi (process $pid), so this run did nothing. Wait for it, or end it, and try again."
    fi
  done
  say "The last run on stack $stack was killed: removing the lock that it left."
  pulumi cancel --yes "$stack" >/dev/null ||
    fail "The lock of stack $stack in ${OWN_BACKEND#"$PROJECT"/} could not be removed. Run scripts/pulumi cancel $stack."
}

# remove_orphans STACK: what a killed run had begun to create in a cloud may be there, without Pulumi knowing its id.
# Resources that the next run finds by itself need no such help; AMIs and galleries, whose names would be taken, do. Only while this
# process holds the stack, and so for the project's own backend alone: elsewhere another run may be making them just now.
remove_orphans() {
  local stack="$1"
  has_pending_creates "$stack" || return 0
  grep --quiet --fixed-strings --regexp '"aws:ec2/ami' --regexp '"azure-native:compute:Gallery' \
    "$(name_state_file "$stack")" || return 0
  pulumi stack export --stack "$stack" | node "$LIBRARY/remove-orphans.ts"
}

has_pending_creates() {
  grep --quiet --fixed-strings '"pending_operations":[{' "$(name_state_file "$1")" 2>/dev/null
}

# clear_pending_creates STACK: after a run that came to a good end, the creations that an earlier, killed run had
# begun are done, or nobody wants them any more, but the engine would warn of them for ever. Removes what is left of those
# that nobody wants, asks the engine to forget all of them, and touches nothing else.
clear_pending_creates() {
  local stack="$1"
  has_pending_creates "$stack" || return 0
  if grep --quiet --fixed-strings '"pulumi-nodejs:dynamic/platforms:' "$(name_state_file "$stack")"; then
    # What could not be removed is tried again after the next run.
    pulumi stack export --stack "$stack" | node "$LIBRARY/remove-abandoned.ts" || return 0
  fi
  say "Clearing what a killed run had left pending; this run has done it."
  pulumi refresh --stack "$stack" --clear-pending-creates --yes --skip-preview \
    --target "urn:pulumi:$stack::$PROJECT_NAME::pulumi:pulumi:Stack::$PROJECT_NAME-$stack" >/dev/null
}

name_state_file() {
  printf '%s\n' "$OWN_BACKEND/.pulumi/stacks/$PROJECT_NAME/$1.json"
}
