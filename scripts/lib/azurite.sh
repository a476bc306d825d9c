# shellcheck shell=bash
# Azurite, in .tools/azurite: a server for tests and benchmarks, too large for the node_modules of everybody.

AZURITE_PACKAGES="$PROJECT/scripts/packages/azurite"

# find_azurite LIST…: 0 when no list is azurite, or what its lock names is installed.
find_azurite() {
  [[ " $* " != *" azurite "* || "$(cat "$TOOLS/azurite/installed" 2>/dev/null)" == "$(hash_azurite_lock)" ]]
}

hash_azurite_lock() {
  sha256sum <"$AZURITE_PACKAGES/package-lock.json"
}

install_azurite() {
  local node incoming
  node="$(find_node)"
  incoming="$(make_incoming)/azurite"
  mkdir "$incoming"
  cp "$AZURITE_PACKAGES"/package*.json "$incoming"
  with_progress "Installing Azurite" \
    env PATH="$node:$PATH" npm --prefix "$incoming" ci --ignore-scripts --no-audit --no-fund ||
    fail "npm ci could not install Azurite. Put right what it says above and run this again."
  hash_azurite_lock >"$incoming/installed"
  move_in "$incoming" "$TOOLS/azurite"
}
