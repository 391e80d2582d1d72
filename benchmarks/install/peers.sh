#!/usr/bin/env bash
# What the benchmarks drive: Debian's programs, peers from the Python and Node registries
# and from Go's module proxy.
# A peer that cannot be had is a warning here and is named in the report; only what every
# run needs (nginx, h2load, curl) ends this with an error. Installs nothing twice.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

warn() { echo "benchmarks: $*" >&2; }

needed=()
wanted=()
command -v nginx >/dev/null || needed+=(nginx)
command -v h2load >/dev/null || needed+=(nghttp2-client)
command -v curl >/dev/null || needed+=(curl)
# Only this one of Debian's two squid packages can intercept.
[[ -x /usr/lib/squid/security_file_certgen ]] || wanted+=(squid-openssl)
command -v openssl >/dev/null || wanted+=(openssl) # proxy.py runs it
command -v npm >/dev/null || wanted+=(nodejs npm)
command -v sslsplit >/dev/null || wanted+=(sslsplit)

debian() { # debian PACKAGE...: as root only, and no service of theirs is started
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        return 1
    fi
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=yes
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq &&
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    local code=$?
    [[ -n $made ]] && rm -f $policy
    return $code
}

if ((${#needed[@]})); then
    echo "installing ${needed[*]}"
    if ! debian "${needed[@]}"; then
        warn "needed by every run: sudo apt-get install ${needed[*]}"
        exit 1
    fi
fi
for package in "${wanted[@]}"; do
    echo "installing $package"
    debian "$package" ||
        warn "for all peers: sudo apt-get install $package"
done

# mitmproxy's newest release wants Python 3.12; a shim on PATH may stand for nothing.
python_of_peers() {
    local python pyenv
    mapfile -t pyenv < <(printf '%s\n' "$HOME"/.pyenv/versions/3.*/bin/python | sort -rV)
    for python in python3.14 python3.13 "${pyenv[@]}" python3.12 python3; do
        if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' \
            2>/dev/null; then
            echo "$python"
            return
        fi
    done
}

python_peers() {
    local python
    python=$(python_of_peers)
    if [[ -z $python ]]; then
        warn "mitmproxy and proxy.py need Python >= 3.12 with venv, and none was found"
        return
    fi
    echo "installing peers with $("$python" --version)"
    "$python" -m venv --clear .venv-peers &&
        .venv-peers/bin/python -m pip --disable-pip-version-check --quiet install \
            --require-hashes --no-deps --requirement install/python.lock ||
        warn "mitmproxy and proxy.py could not be installed"
}

node_peers() {
    if ! command -v npm >/dev/null; then
        warn "mockttp needs Node.js and npm"
        return
    fi
    echo "installing mockttp with Node.js $(node --version)"
    mkdir -p .node-peers && echo '*' >.node-peers/.gitignore &&
        cp install/package.json install/package-lock.json .node-peers/ &&
        npm ci --prefix .node-peers --ignore-scripts --no-audit --no-fund \
            --loglevel error >/dev/null ||
        warn "mockttp could not be installed"
}

# goproxy's newest releases want Go 1.23; `make toolchains` has one that is new enough.
go_of_peers() {
    local go
    for go in "$PWD/../.toolchains/bin/go" go; do
        if [[ $("$go" env GOVERSION 2>/dev/null) =~ ^go1\.([0-9]+) ]] &&
            ((BASH_REMATCH[1] >= 23)); then
            echo "$go"
            return
        fi
    done
}

go_peer() {
    local go
    go=$(go_of_peers)
    if [[ -z $go ]]; then
        warn "goproxy needs Go >= 1.23: make toolchains"
        return
    fi
    echo "building goproxy with $("$go" env GOVERSION)"
    mkdir -p .goproxy && echo '*' >.goproxy/.gitignore
    # No wait for a module proxy that cannot be reached, and no other Go than this one.
    (cd install/goproxy && GOTOOLCHAIN=local GOFLAGS=-mod=readonly timeout 300 \
        "$go" build -o ../../.goproxy/goproxy . 2>../../.goproxy/build.log) ||
        warn "goproxy could not be built: $(tail -n 1 .goproxy/build.log | tail -c 300)"
}

cmp -s install/python.lock .venv-peers/installed.lock || {
    python_peers
    [[ -x .venv-peers/bin/mitmdump ]] && cp install/python.lock .venv-peers/installed.lock
}
cmp -s install/package-lock.json .node-peers/node_modules/installed.json || {
    node_peers
    [[ -d .node-peers/node_modules/mockttp ]] &&
        cp install/package-lock.json .node-peers/node_modules/installed.json
}
cmp -s install/goproxy/go.sum .goproxy/installed.sum || {
    go_peer
    [[ -x .goproxy/goproxy ]] && cp install/goproxy/go.sum .goproxy/installed.sum
}
exit 0
