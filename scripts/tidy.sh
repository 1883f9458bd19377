#!/usr/bin/env bash
# Checks what the compiler does not: lengths of files, docs of modules, layers, purity, leftovers.
#
#   scripts/tidy.sh
#
# Needs nothing but git and grep, builds nothing, and names every line that is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."

LINES_MAX=500
# Longer files, with the reason. An entry that is no longer needed is an error too.
LONG_FILES=(
)

faults=0
fault() {
    echo "tidy: $*" >&2
    faults=$((faults + 1))
}

# Files of the repository, new ones included.
files() {
    git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
        [ -f "$file" ] && echo "$file"
    done
}

is_test() {
    case $1 in
        */tests/* | tests/* | */tests.rs | */test_writer.rs) return 0 ;;
        *) return 1 ;;
    esac
}

# Lines in front of a file's inline tests.
code_lines() {
    awk '/^#\[cfg\(test\)\]$/ { getline; if ($0 ~ /^mod [a-z_]+ \{$/) { exit } n += 1 } { n += 1 } END { print n + 0 }' "$1"
}

check_rust_file() {
    local file=$1 lines
    if ! is_test "$file"; then
        if [ "$(head -c 3 "$file")" != "//!" ]; then
            fault "$file: begins without module docs (//!)"
        fi
        lines=$(code_lines "$file")
        if [[ " ${LONG_FILES[*]} " == *" $file "* ]]; then
            [ "$lines" -gt $LINES_MAX ] || fault "$file: has $lines lines, take it off LONG_FILES"
        elif [ "$lines" -gt $LINES_MAX ]; then
            fault "$file: has $lines lines of code, split it at $LINES_MAX"
        fi
    fi
}

# A crate may name these crates of the workspace and no others.
check_layer() {
    local manifest=$1 allowed=" $2 " crate
    for crate in drm packager ssai platform origin encoder edge control-api; do
        if grep -qE "^$crate(\.workspace)? = " "$manifest" && [[ $allowed != *" $crate "* ]]; then
            fault "$manifest: depends on \`$crate\`, which lies in a higher layer or beside it"
        fi
    done
}

# The core turns values into values (docs/architecture.md). Each crate's clippy.toml bans the
# calls; this bans the names, so that a type or an import is seen too.
check_pure() {
    local crate=$1 found
    found=$(files "$crate/src/*.rs" | grep -v '/tests\.rs$' \
        | xargs grep -nE '\b(tokio|async_std)\b::|std::(fs|net|process|thread|env)\b|(Instant|SystemTime)::now' || true)
    [ -z "$found" ] || fault "$crate is pure, but names the outside world:"$'\n'"$found"
    grep -qE '^(tokio|hyper|rustix|libc|memmap2)\b' "$crate/Cargo.toml" \
        && fault "$crate/Cargo.toml: a core crate has no runtime and no system calls"
    [ -f "$crate/clippy.toml" ] || fault "$crate: has no clippy.toml with the banned calls"
}

check_leftovers() {
    local found
    found=$(files '*.rs' | xargs grep -nE '\b(todo|unimplemented|dbg)!\(|#\[ignore' || true)
    [ -z "$found" ] || fault "unfinished:"$'\n'"$found"
    # Places that exist on one machine alone.
    found=$(files '*' | grep -vE '^(Cargo\.lock|scripts/tidy\.sh|fuzz/corpus/)|package-lock\.json$' \
        | xargs grep -nIE '(^|[^a-zA-Z0-9_.])/(work|tmp/w)/' || true)
    [ -z "$found" ] || fault "paths of one machine:"$'\n'"$found"
}

while read -r file; do
    check_rust_file "$file"
done < <(files '*.rs')
check_layer drm/Cargo.toml "drm"
check_layer packager/Cargo.toml "drm packager"
check_layer platform/Cargo.toml "platform"
check_layer origin/Cargo.toml "drm packager platform origin"
check_pure drm
check_pure packager
check_leftovers

if [ $faults -gt 0 ]; then
    echo "tidy: $faults faults" >&2
    exit 1
fi
