#!/usr/bin/env bash
# Runs every fuzz target under libFuzzer: scripts/fuzz.sh SECONDS [FILE...]
#
# Each target runs SECONDS seconds on its corpus and on seeds cut out of FILEs. What libFuzzer finds
# stays outside the repository, in STREAMVERSE_FUZZ_CORPUS (target/fuzz-corpus by default), so that
# the next run goes on from it. A crash stops the script and names its input.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! ${1-} =~ ^[0-9]+$ ]]; then
    echo "scripts/fuzz.sh SECONDS [FILE...]" >&2
    exit 2
fi
seconds=$1
shift

missing=()
if ! rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    missing+=("rustup toolchain install nightly --profile minimal")
fi
if ! command -v cargo-fuzz >/dev/null; then
    missing+=("cargo install cargo-fuzz --locked")
fi
if ((${#missing[@]} > 0)); then
    echo "fuzzing needs libFuzzer's tools; install them with:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi

target_dir=${CARGO_TARGET_DIR:-target}
corpus=${STREAMVERSE_FUZZ_CORPUS:-$target_dir/fuzz-corpus}
crashes=$target_dir/fuzz-crashes
# Link-time optimisation takes minutes for each program and shows nothing.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16

if (($# > 0)); then
    cargo run --quiet --locked -p fuzz --bin seeds -- "$corpus" "$@"
fi
for program in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$program" .rs)
    mkdir -p "$corpus/$name" "$crashes/$name" "fuzz/corpus/$name"
    echo "== $name, $seconds s"
    cargo +nightly fuzz run "$name" --features libfuzzer --target-dir "$target_dir/fuzz" \
        "$corpus/$name" "fuzz/corpus/$name" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=1048576 \
        -artifact_prefix="$crashes/$name/" -print_final_stats=1
done
rmdir --ignore-fail-on-non-empty fuzz/corpus/* 2>/dev/null || true
