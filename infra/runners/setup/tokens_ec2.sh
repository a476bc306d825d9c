# shellcheck shell=bash
# From the parameter that only this machine's role may read. A new role is known everywhere after a while.
read_tokens() {
  local attempt
  for attempt in {1..20}; do
    aws ssm get-parameter --region "$TOKENS_REGION" --name "$TOKENS_NAME" --with-decryption \
      --query Parameter.Value --output text && return
    sleep "$attempt"
  done
  return 1
}
