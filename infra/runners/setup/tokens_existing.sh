# shellcheck shell=bash
# From standard input, which nobody else sees.
read_tokens() {
  cat
}
