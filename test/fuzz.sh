#!/usr/bin/env bash
# fuzz.sh [TIME] - runs each native fuzz target for TIME (go test fuzzes one target of one package at a time).
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."

time=${1:-10s}
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
	for target in $(CGO_ENABLED=0 go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target" >&2
		CGO_ENABLED=0 go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done
