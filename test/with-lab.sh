#!/usr/bin/env bash
# with-lab.sh [--only-4.24] CMD... - runs CMD with freshly restored Samba controllers on loopback, and stops them afterwards.
#
#   test/with-lab.sh go test ./ldapwriter/...
#
# CMD finds the controller (4.24) in WRITEBACK_SAMBA_*, an old one (4.17) in WRITEBACK_SAMBA417_*, and the script that runs two
# of one domain in WRITEBACK_SAMBA_PAIR* (internal/sambalab reads them). Every run starts from the same snapshots, so no run
# sees what another one wrote. Several may run at once: each takes loopback addresses of its own.
# Without what setup.sh builds, CMD runs all the same, and *_LEFT_OUT tells the tests why they have to skip.
set -euo pipefail
export LC_ALL=C.UTF-8

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=paths.sh
. "$here/paths.sh"
# shellcheck source=samba/address.sh
. "$here/samba/address.sh"
controller=$here/samba/controller.sh

only=''
if [ "${1:-}" = --only-4.24 ]; then only=yes; shift; fi

# not_there PREFIX FILE...: whether something was left out; PREFIX_LEFT_OUT says then, why.
not_there() {
	local -n why=$1_LEFT_OUT
	local file
	for file in "${@:2}"; do
		[ -n "${why:-}" ] || [ -e "$file" ] || why="the Samba lab is not built; test/setup.sh builds it on Debian as root"
	done
	[ -n "${why:-}" ]
}

work='' locks=()
declare -A lab=()
stop() {
	local pid
	trap - EXIT
	for pid in "${lab[@]}"; do
		# The controller is process 1 of its pid namespace: its end is complete only when everything in there has ended, and
		# only then does unshare ($pid) return. Nothing writes to the state any more when it is removed.
		kill -KILL "$(cat "/proc/$pid/task/$pid/children" 2>/dev/null || echo "$pid")" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	[ -z "$work" ] || rm -rf --one-file-system "$work"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# launch PREFIX ROOT SNAPSHOT: restores a controller and starts it.
launch() {
	local prefix=$1 root=$2 snapshot=$3 address lock
	take_address address lock
	locks+=("$lock")
	"$controller" restore "$root" "$snapshot" "$work/$prefix" "$address"
	"$controller" run "$root" "$work/$prefix" &
	lab[$prefix]=$!
}

# announce PREFIX ROOT: waits until it answers, and tells CMD where it is.
announce() {
	local variable host=$1_HOST address=$1_ADDR
	"$controller" wait "$2" "$work/$1"
	while IFS= read -r variable; do export "${variable?}"; done < <("$controller" env "$work/$1" "$1")
	echo "with-lab: ${!host} answers on ${!address}, $(cat "$2/SAMBA-VERSION")" >&2
}

work=$(mktemp -d "${TMPDIR:-/tmp}/writeback-lab.XXXXXX")
wanted=()
not_there WRITEBACK_SAMBA "$samba_root" "$samba_snapshot" || wanted+=(WRITEBACK_SAMBA "$samba_root" "$samba_snapshot")
if [ -z "$only" ]; then
	not_there WRITEBACK_SAMBA417 "$samba417_root" "$samba417_snapshot" || wanted+=(WRITEBACK_SAMBA417 "$samba417_root" "$samba417_snapshot")
	if ! not_there WRITEBACK_SAMBA_PAIR "$samba_root" "$samba_pair"; then
		export WRITEBACK_SAMBA_PAIR=$here/samba/pair.sh WRITEBACK_SAMBA_PAIR_ROOT=$samba_root WRITEBACK_SAMBA_PAIR_DOMAIN=$samba_pair
	fi
fi
for ((i = 0; i < ${#wanted[@]}; i += 3)); do launch "${wanted[@]:i:3}"; done
for ((i = 0; i < ${#wanted[@]}; i += 3)); do announce "${wanted[@]:i:2}"; done
export WRITEBACK_SAMBA_LEFT_OUT WRITEBACK_SAMBA417_LEFT_OUT WRITEBACK_SAMBA_PAIR_LEFT_OUT

status=0
(
	for lock in "${locks[@]}"; do exec {lock}>&-; done # whatever CMD leaves behind must not keep the addresses
	exec "$@"
) || status=$?
exit "$status"
