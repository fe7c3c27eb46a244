#!/usr/bin/env bash
# controller.sh - a throw-away Samba AD domain controller for the tests. Needs Linux and root; no systemd, no containers.
#
#   controller.sh snapshot  ROOT FILE          provision and seed a domain, pack its state into FILE (no daemon runs, no network)
#   controller.sh restore   ROOT FILE DIR IP   unpack the state into DIR for a controller on the loopback address IP
#   controller.sh configure ROOT DIR NAME IP [PARTNER IP2]
#                                              write the configuration and new certificates of the controller NAME; with a
#                                              PARTNER it replicates with that one
#   controller.sh run       ROOT DIR           run the controller in the foreground; SIGKILL stops it and all it started
#   controller.sh wait      ROOT DIR           wait until it answers
#   controller.sh env       DIR PREFIX         print what internal/sambalab reads, as PREFIX_NAME=value lines
#
# ROOT comes from root.sh. Samba's LDAP ports (389, 636) are fixed in its source: what can be chosen is the address.
set -euo pipefail
export LC_ALL=C.UTF-8

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
die() { echo "controller.sh: $*" >&2; exit 1; }

realm=CORP.EXAMPLE.COM domain=CORP
dns_domain=${realm,,}
base_dn=DC=${dns_domain//./,DC=}
admin_password='Adm1n-Passw0rd!'     # provisions, and lets a second controller join
service_password='Svc-Passw0rd!1'    # the delegated account writeback-svc
user_password='Initial-Passw0rd!1'   # every seeded person

enter() { "$here/enter.sh" "$@"; }

# write_config DIR NAME IP [PARTNER IP2]: every path is below /lab, where enter.sh mounts DIR, so a snapshot fits wherever it
# is unpacked.
write_config() {
	local dir=$1 name=$2 ip=$3 partner=${4:-} partner_ip=${5:-}
	local services='ldap, cldap, kdc' # what the tests talk to: no file server, no NetBIOS
	[ -z "$partner" ] || services+=', rpc, drepl, kcc'
	mkdir -p "$dir"/{etc,private,state,cache,lock,run,log,ncalrpc,tls,sysvol/$dns_domain/scripts}
	chmod 700 "$dir" "$dir/private"
	cat >"$dir/etc/smb.conf" <<-CONF
	[global]
		netbios name = ${name^^}
		workgroup = $domain
		realm = $realm
		server role = active directory domain controller
		server services = $services
		# A partner is found soon after the start, and learns of a write at once; by default that takes up to five minutes.
		kccsrv:periodic_startup_interval = 2
		dreplsrv:notify_interval = 1
		dreplsrv:periodic_startup_interval = 2
		dreplsrv:periodic_interval = 5
		interfaces = $ip/8
		bind interfaces only = yes
		disable netbios = yes
		prefork children = 2
		private dir = /lab/private
		state directory = /lab/state
		cache directory = /lab/cache
		lock directory = /lab/lock
		pid directory = /lab/run
		binddns dir = /lab/state
		ncalrpc dir = /lab/ncalrpc
		winbindd socket directory = /lab/run/winbindd
		ntp signd socket directory = /lab/run/ntp_signd
		log file = /lab/log/log.samba
		usershare max shares = 0
		# security.* extended attributes need privileges a build machine may lack.
		posix:eadb = /lab/private/eadb.tdb
		resolv:host file = /lab/etc/dns_hosts
		dns forwarder =
		dns update command = /bin/true
		spn update command = /bin/true
		# The state is thrown away: waiting for the disk would buy nothing.
		ldb:nosync = true
		# By default the old password still binds for an hour after a reset; a test that shows it refused cannot wait.
		old password allowed period = 0
		tls enabled = yes
		tls certfile = /lab/tls/server.crt
		tls keyfile = /lab/tls/server.key
		tls cafile = /lab/tls/ca.crt
	[sysvol]
		path = /lab/sysvol
		read only = no
	[netlogon]
		path = /lab/sysvol/$dns_domain/scripts
		read only = no
	CONF
	cat >"$dir/etc/krb5.conf" <<-CONF
	[libdefaults]
		default_realm = $realm
		dns_lookup_realm = false
		dns_lookup_kdc = false
		dns_canonicalize_hostname = false
		rdns = false
		udp_preference_limit = 1
	[realms]
		$realm = {
			kdc = $ip:88
			${partner_ip:+kdc = $partner_ip:88}
		}
	[domain_realm]
		.$dns_domain = $realm
		$dns_domain = $realm
	CONF
	echo "A $name.$dns_domain $ip 389" >"$dir/etc/dns_hosts"
	printf 'search %s\nnameserver %s\n' "$dns_domain" "$ip" >"$dir/etc/resolv.conf"
	write_hosts "$dir" "$name $ip" "$partner $partner_ip"
	echo "$ip" >"$dir/etc/address"
	echo "$name" >"$dir/etc/name"
	(umask 077 && printf '%s' "$admin_password" >"$dir/etc/admin-password" && printf '%s' "$service_password" >"$dir/etc/service-password" &&
		printf '%s' "$user_password" >"$dir/etc/user-password")
}

# write_hosts DIR "NAME IP"...: no DNS server runs, so controllers find one another here: by name, and for replication by the
# GUID of the other one's settings, which the domain has given it (etc/NAME.guid, see pair.sh).
write_hosts() {
	local dir=$1 entry name ip
	shift
	{
		echo '127.0.0.1 localhost'
		for entry; do
			read -r name ip <<<"$entry"
			[ -n "$name" ] || continue
			echo "$ip $name.$dns_domain $name"
			[ ! -f "$dir/etc/$name.guid" ] || echo "$ip $(cat "$dir/etc/$name.guid")._msdcs.$dns_domain"
		done
	} >"$dir/etc/hosts"
}

snapshot() {
	local root=$1 file=$2 dir name=dc1
	dir=$(mktemp -d)
	# shellcheck disable=SC2064 # expand now: dir is local
	trap "rm -rf --one-file-system '$dir' '$file.building.$$'" EXIT
	write_config "$dir" "$name" 127.0.0.10
	cp "$here/seed.py" "$dir/etc/seed.py"
	enter "$root" "$dir" samba-tool domain provision -q --configfile=/lab/etc/smb.conf --realm="$realm" --domain="$domain" \
		--server-role=dc --dns-backend=SAMBA_INTERNAL --adminpass="$admin_password" --host-name="$name" --host-ip=127.0.0.10 \
		>"$dir/log/provision.log" 2>&1 || { tail -n 30 "$dir/log/provision.log" >&2; die "samba-tool domain provision failed"; }
	# Registers ldap/FQDN and its like; without them Kerberos says KDC_ERR_S_PRINCIPAL_UNKNOWN.
	enter "$root" "$dir" samba_spnupdate -s /lab/etc/smb.conf >"$dir/log/spnupdate.log" 2>&1 ||
		{ tail -n 30 "$dir/log/spnupdate.log" >&2; die "samba_spnupdate failed"; }
	enter "$root" "$dir" /usr/bin/python3 /lab/etc/seed.py >&2 ||
		{ tail -n 30 "$dir/log/seed.log" >&2; die "seeding failed"; }
	date +%s >"$dir/etc/seeded-at"
	tar -C "$dir" --exclude='./run/*' --exclude='./log/*' --exclude='./ncalrpc/*' --exclude='./lock/*' --exclude='./cache/*' \
		-czf "$file.building.$$" .
	mv -T "$file.building.$$" "$file"
}

restore() {
	local root=$1 file=$2 dir=$3 ip=$4
	mkdir -p "$dir"
	tar -xzf "$file" -C "$dir"
	configure "$root" "$dir" dc1 "$ip"
}

configure() {
	local root=$1 dir=$2 name=$3 ip=$4
	write_config "${@:2}"
	cp "$here/certificates.sh" "$dir/etc/certificates.sh"
	enter "$root" "$dir" bash /lab/etc/certificates.sh "$ip" "$name.$dns_domain" "$dns_domain" "$domain" >"$dir/log/certificates.log" 2>&1 ||
		{ cat "$dir/log/certificates.log" >&2; die "no certificates"; }
}

run() {
	local root=$1 dir=$2
	exec "$here/enter.sh" "$root" "$dir" samba --foreground --no-process-group --model=prefork \
		--configfile=/lab/etc/smb.conf >"$dir/log/stdout" 2>&1 </dev/null
}

answers() { # an open port alone would not say that the workers have loaded the database
	enter "$1" "$2" timeout 5 ldbsearch -H "ldap://$3" -s base -b '' dnsHostName >/dev/null 2>&1 &&
		(exec 3<>"/dev/tcp/$3/88") 2>/dev/null
}

await() {
	local root=$1 dir=$2 ip seeded
	ip=$(cat "$dir/etc/address")
	for attempt in $(seq 1 300); do
		answers "$root" "$dir" "$ip" && break
		[ "$attempt" -lt 300 ] || { tail -n 20 "$dir/log/stdout" >&2; die "no answer from the controller on $ip"; }
		sleep 0.1
	done
	# An agent refuses to overwrite a password that is newer than the request: let the seeded ones be clearly older.
	seeded=$(cat "$dir/etc/seeded-at")
	while [ $(($(date +%s) - seeded)) -lt 10 ]; do sleep 0.5; done
}

print_env() {
	local dir prefix=$2
	dir=$(realpath "$1")
	cat <<-VARS
	${prefix}_ADDR=$(cat "$dir/etc/address"):636
	${prefix}_HOST=$(cat "$dir/etc/name").$dns_domain
	${prefix}_CA=$dir/tls/ca.crt
	${prefix}_BASE_DN=$base_dn
	${prefix}_REALM=$realm
	${prefix}_KRB5_CONFIG=$dir/etc/krb5.conf
	${prefix}_SERVICE_USER=writeback-svc@$dns_domain
	${prefix}_SERVICE_PASSWORD_FILE=$dir/etc/service-password
	${prefix}_USER_PASSWORD_FILE=$dir/etc/user-password
	VARS
}

case ${1:-} in
snapshot) shift; snapshot "$@" ;;
restore) shift; restore "$@" ;;
configure) shift; configure "$@" ;;
run) shift; run "$@" ;;
wait) shift; await "$@" ;;
env) shift; print_env "$@" ;;
*) sed -n '2,/^set -e/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
