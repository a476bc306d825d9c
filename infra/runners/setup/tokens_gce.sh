# shellcheck shell=bash
# From the secret that only this machine's service account may read. A new account is known everywhere after a while.
read_tokens() {
  local attempt login
  for attempt in {1..20}; do
    if login="$(curl --fail --silent --show-error --header 'Metadata-Flavor: Google' \
      http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token)"; then
      jq --raw-output '"header = \"Authorization: Bearer \(.access_token)\""' <<<"$login" |
        curl --fail --silent --show-error --config - "https://secretmanager.googleapis.com/v1/$TOKENS_NAME:access" |
        jq --raw-output --exit-status '.payload.data | @base64d' && return
    fi
    sleep "$attempt"
  done
  return 1
}
