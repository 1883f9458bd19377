#!/bin/sh
# Says how to get Rust where it is missing or too old for this workspace.
set -eu

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null; then
    cat >&2 <<EOF
Rust is not installed. Get it with
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y
then open a new shell, or run
    . "\$HOME/.cargo/env"
EOF
    exit 1
fi
have=$(rustc --version | cut -d' ' -f2)
oldest=$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)
if [ "$oldest" != "$wanted" ]; then
    echo "Rust $have is too old, this needs $wanted. Get it with: rustup update stable" >&2
    exit 1
fi
