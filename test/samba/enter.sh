#!/usr/bin/env bash
# enter.sh ROOT STATE CMD... - runs CMD inside ROOT with the directory STATE at /lab.
#
# ROOT is mounted read-only (several runs share it, and a controller that wrote outside /lab would carry state from one
# run to the next). The mounts live in a namespace of their own and vanish with CMD. So do its descendants: CMD is process 1
# of its own pid namespace, and it is killed when the process that started this script goes away, however that ended.
# The network is the machine's.
set -euo pipefail

root=$(realpath "${1:?usage: enter.sh ROOT STATE CMD...}") state=$(realpath "$2")
shift 2

# shellcheck disable=SC2016 # the inner script expands its own arguments
exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child -- bash -euc '
	root=$1 state=$2
	shift 2
	mount --bind "$root" "$root"
	mount -o remount,bind,ro "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=755 lab-run "$root/run"
	mount -t tmpfs -o mode=1777 lab-tmp "$root/tmp"
	mount --bind "$state" "$root/lab"
	for file in resolv.conf hosts; do
		if [ -f "$state/etc/$file" ]; then mount --bind "$state/etc/$file" "$root/etc/$file"; fi
	done
	exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 KRB5_CONFIG=/lab/etc/krb5.conf "$@"
' enter "$root" "$state" "$@"
