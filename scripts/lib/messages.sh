# shellcheck shell=bash
# What the scripts say. Everything goes to stderr: stdout is for what was asked for.

say() {
  printf '%s\n' "$*" >&2
}

fail() {
  say "Error: $*"
  exit 1
}

# Prints a script's own usage: the comment at its top, below the first line.
show_usage() {
  sed -n '2,/^[^#]/{ s/^# \{0,1\}//p }' "$1"
}

# with_progress TITLE COMMAND…
# Runs something that can take minutes. Its output goes to a log, of which a line every 10 seconds shows
# that work goes on; if it fails, the end of the log is shown.
with_progress() {
  local title="$1" log ticker status=0
  shift
  log="$(make_log)"
  say "$title …"
  tell_progress "$BASHPID" "$title" "$log" &
  ticker=$!
  "$@" >"$log" 2>&1 </dev/null || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  if ((status != 0)); then
    say "$title: failed (exit code $status). The end of its output:"
    tail -n 20 "$log" | sed 's/^/  | /' >&2
  fi
  rm -f "$log"
  return "$status"
}

# Ends with the process it speaks for, even when that one is killed, and holds none of its locks.
tell_progress() {
  local worker="$1" title="$2" log="$3" seconds=0
  exec 8>&- 9>&-
  # What sleeps must not keep the pipes open of whoever reads this script.
  while sleep 1 >/dev/null 2>&1 && kill -0 "$worker" 2>/dev/null; do
    seconds=$((seconds + 1))
    if ((seconds % 10 == 0)); then
      say "$title … ${seconds} s; $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-100)"
    fi
  done
}
