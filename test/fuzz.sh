#!/usr/bin/env bash
# fuzz.sh [TIME] - runs each native fuzz target for TIME (go test fuzzes one target of one package at a time).
#
# All targets run even when one fails; the exit code is 0 only if every one passed. Go's fuzzer itself can fail in the moment TIME
# is over, on a busy machine: "context deadline exceeded" and no input that fails. That is no finding and counts as passed.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."

time=${1:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export CGO_ENABLED=0

# only_deadline reports whether the log's one failure is the fuzzer's own, for a target and nothing below it.
only_deadline() {
	[ "$(grep -A1 -e '--- FAIL:' "$log" | sed -n 2p)" = "    context deadline exceeded" ] && ! grep -qE 'Failing input|panic:' "$log"
}

failed=()
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target" >&2
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" 2>&1 | tee "$log"; then
			if only_deadline; then echo "no finding: the fuzzer's own deadline" >&2; else failed+=("$package $target"); fi
		fi
	done
done
for what in "${failed[@]}"; do echo "FAILED: $what" >&2; done
[ ${#failed[@]} -eq 0 ]
