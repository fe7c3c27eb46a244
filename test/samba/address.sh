# shellcheck shell=bash # sourced
#
# take_address ADDRESS LOCK: puts into the variable ADDRESS the first loopback address that no other run holds and nobody
# listens on, and into LOCK the file descriptor that holds it: the address is free again when that is closed everywhere.
# Samba's LDAP ports are fixed in its source, so every controller needs an address of its own.
take_address() {
	local -n taken=$1 held=$2
	local number locks=/run/lock
	[ -w $locks ] || locks=/tmp
	for number in $(seq 10 59); do
		exec {held}>"$locks/writeback-lab-127.0.0.$number.lock"
		if flock --nonblock "$held" && ! (exec 3<>"/dev/tcp/127.0.0.$number/636") 2>/dev/null; then
			taken=127.0.0.$number
			return
		fi
		exec {held}>&-
	done
	echo "no free address between 127.0.0.10 and 127.0.0.59" >&2
	return 1
}
