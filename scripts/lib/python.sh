# shellcheck shell=bash
# Python programs, in .tools/python: servers that tests start.

# list_requirements LIST…: what the package lists of that name want of Python.
list_requirements() {
  local list
  for list in "$@"; do
    if [[ -e "$PROJECT/scripts/packages/$list.python.txt" ]]; then
      sed 's/[[:space:]]*#.*//; /^$/d' "$PROJECT/scripts/packages/$list.python.txt"
    fi
  done
}

# find_python_programs LIST…: 0 when all that the lists want is installed.
find_python_programs() {
  local wanted
  wanted="$(list_requirements "$@")"
  [[ -z "$wanted" || "$(cat "$TOOLS/python/installed" 2>/dev/null)" == "$wanted" ]]
}

# An environment of its own knows its place, so it is made where it stays, and counts only with its last file.
install_python_programs() {
  local wanted
  readarray -t wanted < <(list_requirements "$@")
  rm -rf "$TOOLS/python"
  with_progress "Installing Python programs (${wanted[*]})" make_python_environment "${wanted[@]}" ||
    fail "pip could not install ${wanted[*]}. Put right what it says above and run this again."
  printf '%s\n' "${wanted[@]}" >"$TOOLS/python/installed"
}

make_python_environment() {
  /usr/bin/python3 -m venv "$TOOLS/python" &&
    "$TOOLS/python/bin/pip" install --no-cache-dir --disable-pip-version-check "$@"
}
