#!/usr/bin/env bash
# run.sh - what `make test` does: set up, vet, lint, then every test with the race detector and a real controller beside it.
#
# All steps run even when one fails, so that one run shows everything; the exit code is 0 only if every step passed.
# PACKAGES and TESTFLAGS narrow the tests: make test PACKAGES=./relay/... TESTFLAGS='-run Drain'
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
export LC_ALL=C.UTF-8

read -ra packages <<<"${PACKAGES:-./...}"
read -ra flags <<<"${TESTFLAGS:-}"
failed=()
step() { # step NAME CMD...: runs CMD, and remembers NAME when it fails
	echo "== $1" >&2
	"${@:2}" || failed+=("$1")
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

echo "== set-up" >&2
test/setup.sh "$work/left-out"
# shellcheck source=paths.sh
. test/paths.sh
reason() { sed -n "s/^$1: //p" "$work/left-out"; }
sed 's/^/left out: /' "$work/left-out" >&2

# The agent must build for every platform it is installed on, without cgo. Nothing is kept: make cross does that.
# linux/amd64 is built by the end-to-end tests.
cross() {
	local platform
	for platform in linux/arm64 windows/amd64 windows/arm64; do
		CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} go build -trimpath -o "$work/cross" ./cmd/writeback-agent || return 1
	done
}

step "vet" go vet ./...
step "builds for every platform" cross
step "vet for Windows" env GOOS=windows CGO_ENABLED=0 go vet ./...
not_run=() # checks that are no tests and so cannot skip themselves; the summary counts them
if [ -z "$(reason lint)" ]; then
	step "lint" test/lint.sh
else
	not_run+=("lint: $(reason lint)")
fi

export CGO_ENABLED=1
race=(-race)
if [ -n "$(reason race)" ]; then
	CGO_ENABLED=0 race=()
	not_run+=("race detector: $(reason race)")
fi
WRITEBACK_SAMBA_LEFT_OUT=$(reason samba) WRITEBACK_SAMBA417_LEFT_OUT=$(reason samba417) WRITEBACK_SAMBA_PAIR_LEFT_OUT=$(reason pair)
export WRITEBACK_SAMBA_LEFT_OUT WRITEBACK_SAMBA417_LEFT_OUT WRITEBACK_SAMBA_PAIR_LEFT_OUT
# Other people's clients, which internal/interop runs.
WRITEBACK_INTEROP_JS=$js_client WRITEBACK_INTEROP_JS_LEFT_OUT=$(reason javascript)
WRITEBACK_INTEROP_PYTHON=$debian_python WRITEBACK_INTEROP_PYTHON_LEFT_OUT=$(reason proton)
export WRITEBACK_INTEROP_JS WRITEBACK_INTEROP_JS_LEFT_OUT WRITEBACK_INTEROP_PYTHON WRITEBACK_INTEROP_PYTHON_LEFT_OUT
# The languages of the senders and of the runners of test vectors, which internal/interop runs too.
export WRITEBACK_PYTHON=$debian_python WRITEBACK_NODE=node WRITEBACK_JAVA=java
WRITEBACK_PYTHON_LEFT_OUT=$(reason python) WRITEBACK_NODE_LEFT_OUT=$(reason node) WRITEBACK_JAVA_LEFT_OUT=$(reason java)
export WRITEBACK_PYTHON_LEFT_OUT WRITEBACK_NODE_LEFT_OUT WRITEBACK_JAVA_LEFT_OUT

CGO_ENABLED=0 go build -o "$work/testsummary" ./internal/testsummary
run_tests() {
	# -count=1: without it unchanged packages would answer from the cache of an earlier run. Shuffling shows tests that
	# lean on one another.
	test/with-lab.sh go test -json -count=1 -shuffle=on -timeout=12m "${race[@]}" "${flags[@]}" "${packages[@]}" |
		"$work/testsummary" "${not_run[@]}"
}
step "tests" run_tests

for what in "${failed[@]}"; do echo "FAILED: $what" >&2; done
[ ${#failed[@]} -eq 0 ]
