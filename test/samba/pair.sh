#!/usr/bin/env bash
# pair.sh - two controllers, dc1 and dc2, of one throw-away domain that replicate with each other.
#
#   pair.sh snapshot ROOT DOMAIN FILE   let a second controller join a copy of DOMAIN (of controller.sh snapshot), pack both
#   pair.sh serve    ROOT FILE          run both from FILE until the standard input ends
#
# serve is driven by lines on its standard input, each answered by one line, "ok" or "failed": VERB CONTROLLER, with the verbs
#
#   start      from where it stands; answered when it answers
#   kill       SIGKILL to all its processes at once, as a power cut
#   stop       SIGSTOP to all of them: it hangs; connections are accepted, nothing is answered
#   continue   SIGCONT: what it was sent in between is carried out
#
# Before the first line it prints NAME=value lines for each controller (DC1_ADDR=...), then "ready". Whoever drives it may die in
# any way: the end of its input takes both controllers down.
set -euo pipefail
export LC_ALL=C.UTF-8

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
controller=$here/controller.sh
# shellcheck source=address.sh
. "$here/address.sh"

state='' packing=''
declare -A lab=() address=() lock=()

# children PID: the processes that PID has started.
children() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

# tree PID...: them and all they started.
tree() {
	local pid
	for pid; do
		echo "$pid"
		# shellcheck disable=SC2046 # a list of numbers
		tree $(children "$pid")
	done
}

# signal NAME SIGNAL: to every process of a controller; not to unshare, which waits for it.
signal() {
	# shellcheck disable=SC2046 # a list of numbers
	kill "-$2" $(tree $(children "${lab[$1]}")) 2>/dev/null || true
}

launch() { # launch NAME
	"$controller" run "$root" "$state/$1" &
	lab[$1]=$!
}

# crash NAME: killing process 1 of a pid namespace ends all processes in it; unshare returns after the last one.
crash() {
	local pid=${lab[$1]:-}
	[ -n "$pid" ] || return 0
	# shellcheck disable=SC2046 # a list of numbers
	kill -KILL $(children "$pid") 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	unset "lab[$1]"
}

shut_down() {
	trap - EXIT
	crash dc1
	crash dc2
	[ -z "$state" ] || rm -rf --one-file-system "$state"
	[ -z "$packing" ] || rm -f "$packing"
}
trap shut_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

take_addresses() {
	take_address 'address[dc1]' 'lock[dc1]'
	take_address 'address[dc2]' 'lock[dc2]'
}

other() { if [ "$1" = dc1 ]; then echo dc2; else echo dc1; fi; }

configure() { # configure NAME
	local partner
	partner=$(other "$1")
	"$controller" configure "$root" "$state/$1" "$1" "${address[$1]}" "$partner" "${address[$partner]}"
}

within() { "$here/enter.sh" "$root" "$state/$1" env SMB_CONF_PATH=/lab/etc/smb.conf "${@:2}"; } # within NAME CMD...

# logged NAME CMD...: the words of a command are shown only if it fails.
logged() {
	within "$@" >"$state/$1/log/pair.log" 2>&1 </dev/null || {
		tail -n 20 "$state/$1/log/pair.log" >&2
		echo "pair.sh: ${*:2:3} failed on $1" >&2
		return 1
	}
}

# note_guids: by these the controllers find each other to replicate, see write_hosts in controller.sh.
note_guids() {
	local name guid
	for name in dc1 dc2; do
		guid=$(within dc2 ldbsearch -H /lab/private/sam.ldb -b "$configuration" "(&(objectClass=nTDSDSA)(distinguishedName=CN=NTDS Settings,CN=${name^^},CN=Servers,CN=Default-First-Site-Name,CN=Sites,$configuration))" objectGUID |
			sed -n 's/^objectGUID: //p')
		[ -n "$guid" ] || { echo "pair.sh: $name has no settings in the domain" >&2; return 1; }
		echo "$guid" | tee "$state/dc1/etc/$name.guid" >"$state/dc2/etc/$name.guid"
	done
}

# replicates FROM TO: what is written on one shows on the other.
replicates() {
	local mark="replicated from $1" attempt
	printf 'dn: CN=erin,OU=Staff,%s\nchangetype: modify\nreplace: description\ndescription: %s\n' "$base" "$mark" >"$state/$1/etc/mark.ldif"
	logged "$1" ldbmodify -H /lab/private/sam.ldb /lab/etc/mark.ldif
	for attempt in $(seq 1 240); do
		! within "$2" ldbsearch -H /lab/private/sam.ldb -b "CN=erin,OU=Staff,$base" -s base description | grep -q "$mark" || return 0
		sleep 0.5
	done
	echo "pair.sh: $2 does not hear of what is written on $1 ($attempt tries)" >&2
	return 1
}

base=DC=corp,DC=example,DC=com
configuration=CN=Configuration,$base

snapshot() {
	local domain=$1 file=$2 login='Administrator%'
	packing=$file.building.$$
	take_addresses
	"$controller" restore "$root" "$domain" "$state/dc1" "${address[dc1]}"
	configure dc1
	launch dc1
	configure dc2
	"$controller" wait "$root" "$state/dc1"
	login+=$(cat "$state/dc1/etc/admin-password")
	logged dc2 samba-tool domain join corp.example.com DC --configfile=/lab/etc/smb.conf --server=dc1.corp.example.com \
		-U "$login" --realm=CORP.EXAMPLE.COM --dns-backend=NONE
	logged dc2 samba_spnupdate -s /lab/etc/smb.conf
	cp "$state/dc1/etc/seeded-at" "$state/dc2/etc/seeded-at"
	note_guids
	configure dc1
	configure dc2
	crash dc1 # a controller looks for partners at its start, see write_config; the next time is five minutes later
	launch dc1
	launch dc2
	"$controller" wait "$root" "$state/dc1"
	"$controller" wait "$root" "$state/dc2"
	replicates dc1 dc2
	replicates dc2 dc1
	crash dc1
	crash dc2
	tar -C "$state" --warning=no-file-ignored --exclude='./*/run/*' --exclude='./*/log/*' --exclude='./*/ncalrpc/*' --exclude='./*/lock/*' --exclude='./*/cache/*' \
		-czf "$packing" .
	mv -T "$packing" "$file"
}

obey() { # obey VERB NAME
	case $1 in
	start) launch "$2" && "$controller" wait "$root" "$state/$2" ;;
	kill) crash "$2" ;;
	stop) signal "$2" STOP ;;
	continue) signal "$2" CONT ;;
	*) return 1 ;;
	esac
}

serve() {
	local file=$1 name verb orders
	exec {orders}<&0 </dev/null # nobody else may read them
	tar -xzf "$file" -C "$state"
	take_addresses
	for name in dc1 dc2; do
		configure "$name"
		launch "$name"
	done
	for name in dc1 dc2; do
		"$controller" wait "$root" "$state/$name"
		"$controller" env "$state/$name" "${name^^}"
	done
	echo ready
	while read -r verb name <&"$orders"; do
		if [[ $name = dc[12] ]] && obey "$verb" "$name"; then echo ok; else echo "failed: $verb $name"; fi
	done
}

command=${1:-} root=${2:-}
case $command in
snapshot | serve)
	state=$(mktemp -d "${TMPDIR:-/tmp}/writeback-pair.XXXXXX")
	"$command" "${@:3}"
	;;
*) sed -n '2,/^set -e/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
