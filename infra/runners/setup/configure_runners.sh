# shellcheck shell=bash
# Registers by what GitLab documents for tokens that it made itself: they belong into config.toml. gitlab-runner reads it
# again within seconds, and finishes the jobs that it has.
configure_runners() {
  local config
  config="$(print_configuration)"
  put /etc/gitlab-runner/config.toml 600 <<<"$config"
  systemctl --quiet enable --now gitlab-runner
  gitlab-runner verify </dev/null || fail "GitLab does not know a token of this machine's runners, or cannot be reached."
}

print_configuration() {
  local tokens runner token
  tokens="$(read_tokens)" || fail "The tokens of the runners could not be had."
  printf 'concurrent = %d\ncheck_interval = 3\n' "$(count_jobs)"
  for runner in "${RUNNERS[@]}"; do
    token="$(jq --raw-output --exit-status --arg name "$runner" '.[$name]' <<<"$tokens")" ||
      fail "There is no token for the runner $runner."
    [[ "$token" =~ ^[A-Za-z0-9._=-]+$ ]] || fail "The token of the runner $runner is none of GitLab's."
    printf '\n[[runners]]\n  name = "%s on %s"\n  url = "%s"\n  token = "%s"\n' \
      "$runner" "$HOST" "$GITLAB_URL" "$token"
    printf '  executor = "shell"\n  shell = "bash"\n'
    if [[ -n "$CACHE_BUCKET" ]]; then
      printf '  [runners.cache]\n    Type = "s3"\n    [runners.cache.s3]\n      AuthenticationType = "iam"\n'
      printf '      ServerAddress = "s3.amazonaws.com"\n      BucketName = "%s"\n      BucketLocation = "%s"\n' \
        "$CACHE_BUCKET" "$CACHE_REGION"
    fi
  done
}

# One job for each two cores and each 3.5 GiB: a build takes 3 GiB (memoryMiB in image-definitions), the rest half of one.
count_jobs() {
  if [[ "$CONCURRENT" != auto ]]; then
    printf '%s' "$CONCURRENT"
    return
  fi
  awk -v cores="$(nproc)" '/^MemTotal:/ {
    jobs = int($2 / 1024 / 3584)
    if (int(cores / 2) < jobs) jobs = int(cores / 2)
    print jobs < 1 ? 1 : jobs
  }' /proc/meminfo
}
