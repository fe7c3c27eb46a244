#!/usr/bin/env bash
# with-lab.sh CMD... - runs CMD with a freshly restored Samba controller on loopback, and stops the controller afterwards.
#
#   test/with-lab.sh go test ./ldapwriter/...
#
# CMD finds the controller in WRITEBACK_SAMBA_* (internal/sambalab reads them). Every run starts from the same snapshot, so
# no run sees what another one wrote. Several may run at once: each takes a loopback address of its own.
# Without what setup.sh builds, CMD runs all the same, and WRITEBACK_SAMBA_LEFT_OUT tells the tests why they have to skip.
set -euo pipefail
export LC_ALL=C.UTF-8

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=paths.sh
. "$here/paths.sh"
controller=$here/samba/controller.sh

if [ -z "${WRITEBACK_SAMBA_LEFT_OUT:-}" ] && ! { [ -d "$samba_root" ] && [ -f "$samba_snapshot" ]; }; then
	WRITEBACK_SAMBA_LEFT_OUT="the Samba lab is not built; test/setup.sh builds it on Debian as root"
fi
if [ -n "${WRITEBACK_SAMBA_LEFT_OUT:-}" ]; then
	export WRITEBACK_SAMBA_LEFT_OUT
	exec "$@"
fi

# take_address locks the first loopback address that no other run holds and nobody listens on.
take_address() {
	local number locks=/run/lock
	[ -w $locks ] || locks=/tmp
	for number in $(seq 10 29); do
		exec {address_lock}>"$locks/writeback-lab-127.0.0.$number.lock"
		if flock --nonblock "$address_lock" && ! (exec 3<>"/dev/tcp/127.0.0.$number/636") 2>/dev/null; then
			address=127.0.0.$number
			return
		fi
		exec {address_lock}>&-
	done
	echo "with-lab: no free address between 127.0.0.10 and 127.0.0.29" >&2
	exit 1
}

state='' lab=''
stop() {
	trap - EXIT
	if [ -n "$lab" ]; then
		# The controller is process 1 of its pid namespace: its end is complete only when everything in there has ended, and
		# only then does unshare ($lab) return. Nothing writes to the state any more when it is removed.
		kill -KILL "$(cat "/proc/$lab/task/$lab/children" 2>/dev/null || echo "$lab")" 2>/dev/null || kill -KILL "$lab" 2>/dev/null || true
		wait "$lab" 2>/dev/null || true
	fi
	[ -z "$state" ] || rm -rf --one-file-system "$state"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

take_address
state=$(mktemp -d "${TMPDIR:-/tmp}/writeback-lab.XXXXXX")
"$controller" restore "$samba_root" "$samba_snapshot" "$state" "$address"
"$controller" run "$samba_root" "$state" {address_lock}>&- &
lab=$!
"$controller" wait "$samba_root" "$state"
while IFS= read -r variable; do export "${variable?}"; done < <("$controller" env "$state")
echo "with-lab: $WRITEBACK_SAMBA_HOST answers on $WRITEBACK_SAMBA_ADDR" >&2

status=0
"$@" {address_lock}>&- || status=$?
exit "$status"
