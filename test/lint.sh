#!/usr/bin/env bash
# lint.sh [ARG]... - runs golangci-lint with .golangci.yml, for Linux and for Windows: each sees files the other does not.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=paths.sh
. test/paths.sh

if [ ! -x "$linter" ]; then
	report=$(mktemp)
	trap 'rm -f "$report"' EXIT
	test/setup.sh --lint "$report"
	sed 's/^/left out: /' "$report" >&2
	[ -x "$linter" ]
fi
"$linter" run "$@"
GOOS=windows CGO_ENABLED=0 "$linter" run "$@"
