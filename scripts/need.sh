#!/bin/sh
# Installs the Debian packages that are missing, and nothing when none is.
#
#   scripts/need.sh PURPOSE PACKAGE[/COMMAND]...
#
# A package named with a command is there when the command is, wherever it came from: Node.js often
# brings an npm of its own, which Debian's package would collide with.
# Without root, or without apt, it prints the command that brings them and stops.
set -eu

purpose=$1
shift

missing=
for wanted in "$@"; do
    package=${wanted%%/*}
    command=${wanted#"$package"}
    if [ -n "$command" ] && command -v "${command#/}" >/dev/null; then
        continue
    fi
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    case $state in
        *"ok installed") ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "$purpose needs packages that are not installed. As root:" >&2
    echo "    apt-get update && $install" >&2
    exit 1
fi
echo "$purpose: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=300 -q update >&2
# The list is meant to be split into words.
# shellcheck disable=SC2086
apt-get -o DPkg::Lock::Timeout=300 -q install -y --no-install-recommends $missing >&2
