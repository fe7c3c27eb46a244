#!/usr/bin/env bash
# demo-samba.sh CMD... - what `make demo-samba` does: a real Samba controller beside CMD, built first where it is missing.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."

report=$(mktemp)
trap 'rm -f "$report"' EXIT
test/setup.sh --lab "$report"
if reason=$(sed -n 's/^samba: //p' "$report") && [ -n "$reason" ]; then
	echo "No Samba controller can run here: $reason. \"make demo\" needs none." >&2
	exit 1
fi
echo "starting a Samba domain controller ..." >&2
test/with-lab.sh --only-4.24 "$@"
