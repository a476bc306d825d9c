# shellcheck shell=bash
# gitlab-runner from GitLab's own archive, which may give nothing else, and whose key is the one that is known.
install_runner() {
  local keys codename
  keys="$(mktemp --directory)"
  curl --fail --silent --show-error --location --retry 5 --retry-all-errors "$GITLAB_KEY_URL" |
    gpg --homedir "$keys" --batch --quiet --import ||
    fail "The key of GitLab's archive could not be had from $GITLAB_KEY_URL."
  gpg --homedir "$keys" --batch --armor --export "$GITLAB_KEY" >"$keys/key"
  [[ -s "$keys/key" ]] ||
    fail "$GITLAB_KEY_URL has no key $GITLAB_KEY. GitLab says under \"Linux package signatures\" which one is its own."
  put /etc/apt/keyrings/gitlab.asc <"$keys/key"
  rm -r "$keys"
  # shellcheck source=/dev/null
  codename="$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")"
  put /etc/apt/sources.list.d/gitlab-runner.sources <<END
Types: deb
URIs: $GITLAB_ARCHIVE
Suites: $codename
Components: main
Signed-By: /etc/apt/keyrings/gitlab.asc
END
  put /etc/apt/preferences.d/gitlab-runner <<END
Package: *
Pin: origin ${GITLAB_ARCHIVE_HOST}
Pin-Priority: -1

Package: gitlab-runner gitlab-runner-helper-images
Pin: origin ${GITLAB_ARCHIVE_HOST}
Pin-Priority: 1001
END
  if has_changed '/etc/apt/*gitlab*'; then update_lists; fi
  apt_get install --yes --no-install-recommends --no-upgrade gitlab-runner
  # The shell executor takes what this prints at the end of a job for its failure.
  rm -f /home/gitlab-runner/.bash_logout
}
