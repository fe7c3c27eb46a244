#!/usr/bin/env bash
# setup.sh [--lint | --lab] REPORT - prepares what `make test` needs beyond Go and make, as far as this machine allows.
#
# On Debian as root it installs the missing packages, golangci-lint, Samba domain controllers (4.24, two of one domain, and the
# old 4.17) with a seeded domain,
# other people's clients for the Service Bus emulator: npm's @azure/service-bus (with Node, if there is none) and Qpid Proton,
# and what the senders in Python and Java need.
# Everything but the packages goes to ${WRITEBACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/writeback-lab}, is built once, and is
# named after what it was built from: a changed script makes a new one. Removing that directory loses nothing but time.
# Each part appears under its name only when it is whole, so an interrupted run leaves nothing half-made.
#
# Elsewhere parts are left out. For each, REPORT gets a line `part: reason` (parts: race, lint, kerberos,
# samba, samba417, pair, javascript, proton, node, python, java); test/run.sh reads it.
# With --lint only the linter is built, with --lab only the controller of version 4.24. This script fails only when it cannot report.
set -euo pipefail
export LC_ALL=C.UTF-8

only=''
case ${1:-} in --lint | --lab) only=$1; shift ;; esac
report=${1:?usage: setup.sh [--lint | --lab] REPORT}
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=paths.sh
. "$here/paths.sh"

: >"$report"
log() { echo "setup: $*" >&2; }
left_out() { echo "$1: $2" >>"$report"; }
have() { command -v "$1" >/dev/null 2>&1; }

# why_no_packages says why apt cannot be used here, or nothing.
why_no_packages() {
	if ! have apt-get || ! grep -qsE '^ID(_LIKE)?=.*debian' /etc/os-release; then echo "this is not Debian"
	elif [ "$(id -u)" != 0 ]; then echo "not running as root"
	fi
}

# The packages of what is missing, one on each line: what most tests need, and what other people's clients need.
basic_packages() {
	have gcc && [ -e /usr/include/stdlib.h ] || printf '%s\n' gcc libc6-dev # the race detector needs cgo
	have kinit || echo krb5-user                                            # the tests log in as the person who was reset
	lab_packages
}
lab_packages() { have mmdebstrap || echo mmdebstrap; } # unpacks the controllers' roots
client_packages() {
	have node || echo nodejs
	have npm || echo npm
	have_proton || echo python3-qpid-proton
	have_cryptography || echo python3-cryptography # the senders and the runners of test vectors in other languages
	have_java || echo openjdk-17-jdk-headless
}
have_proton() { "$debian_python" -c 'import proton' 2>/dev/null; }
have_cryptography() { "$debian_python" -c 'import cryptography' 2>/dev/null; }
have_java() { java -m jdk.compiler/com.sun.tools.javac.Main -version >/dev/null 2>&1; } # runs a program from its source

# install_packages installs in one go what a list asks for. Nothing of it starts a daemon.
install_packages() {
	local wanted
	mapfile -t wanted < <("$1")
	[ ${#wanted[@]} -gt 0 ] || return 0
	log "installing ${wanted[*]}"
	apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 || return 1
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
		install "${wanted[@]}" </dev/null >&2
}

install_linter() {
	[ -x "$linter" ] && return
	log "building golangci-lint $golangci_version (about two minutes, once)"
	local building=$linter_dir.building.$$
	mkdir -p "$building"
	# Built with this Go: a linter older than the language version in go.mod refuses to run.
	if (cd / && GOFLAGS='' GOBIN=$building go install "$golangci_module@$golangci_version") >"$building/log" 2>&1; then
		rm -f "$building/log"
		[ -e "$linter_dir" ] || mv -T "$building" "$linter_dir"
	else
		tail -n 5 "$building/log" >&2
		left_out lint "golangci-lint $golangci_version could not be built here (no network?)"
	fi
	rm -rf "$building"
}

# why_no_namespaces: the controller runs in mount and pid namespaces, which some containers forbid even to root.
why_no_namespaces() {
	unshare --mount --pid --fork -- true 2>/dev/null || echo "this machine does not allow mount and pid namespaces"
}

# why_no_controller says why no controller can be built here, or nothing.
why_no_controller() {
	local why
	why=$(why_no_packages)
	[ -n "$why" ] || why=$(why_no_namespaces)
	[ -n "$why" ] || have mmdebstrap || why="mmdebstrap could not be installed"
	echo "$why"
}

# install_controller PART VERSION ROOT SNAPSHOT: left out as PART.
install_controller() {
	local part=$1 version=$2 root=$3 snapshot=$4 why=''
	[ -d "$root" ] && [ -f "$snapshot" ] || why=$(why_no_controller)
	if [ -z "$why" ] && [ ! -d "$root" ]; then
		log "unpacking Samba $version (about a minute, once)"
		"$here/samba/root.sh" "$version" "$root" || why="the root with Samba $version could not be built (no network?)"
	fi
	if [ -z "$why" ] && [ ! -f "$snapshot" ]; then
		log "provisioning and seeding the domain of Samba $version (about fifteen seconds, once)"
		"$here/samba/controller.sh" snapshot "$root" "$snapshot" || why="the domain of Samba $version could not be provisioned"
	fi
	[ -z "$why" ] || left_out "$part" "$why"
}

install_controllers() {
	install_controller samba 4.24 "$samba_root" "$samba_snapshot"
	[ -z "$only" ] || return 0
	if grep -q '^samba: ' "$report"; then
		left_out pair "$(sed -n 's/^samba: //p' "$report")"
	elif [ ! -f "$samba_pair" ]; then
		log "joining a second controller to the domain (about half a minute, once)"
		"$here/samba/pair.sh" snapshot "$samba_root" "$samba_snapshot" "$samba_pair" || left_out pair "the second controller could not join"
	fi
	install_controller samba417 4.17 "$samba417_root" "$samba417_snapshot"
}

# why_no_node [WHY]: the JavaScript client needs Node 18 or later; WHY is why it could not be installed.
why_no_node() {
	if ! have node || ! have npm; then echo "no node and npm: ${1:-not installed}"
	elif ! node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; then echo "node $(node --version) is older than 18"
	fi
}

install_js_client() {
	local why building=$js_client.building.$$
	why=$(why_no_node "$1")
	if [ -z "$why" ] && [ ! -d "$js_client" ]; then
		log "installing npm's @azure/service-bus (about fifteen seconds, once)"
		mkdir -p "$building"
		cp "$here"/interop/js/{package.json,package-lock.json,.npmrc} "$building"
		if (cd "$building" && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error </dev/null >&2); then
			[ -e "$js_client" ] || mv -T "$building" "$js_client"
		else
			why="npm's @azure/service-bus could not be installed (no network?)"
		fi
		rm -rf "$building"
	fi
	[ -z "$why" ] || left_out javascript "$why"
}

main() {
	local why clients node_left_out
	mkdir -p "$cache"
	exec 9>"$cache/setup.lock"
	flock 9 2>/dev/null || true # two checkouts at once: the second waits and finds everything built
	case $only in
	--lint) install_linter; return ;;
	--lab)
		[ -n "$(why_no_packages)" ] || install_packages lab_packages || true
		install_controllers
		return
		;;
	esac
	why=$(why_no_packages)
	clients=$why
	if [ -z "$why" ]; then
		# Apart, so that a distribution's trouble with Node costs no other test.
		install_packages basic_packages || why="apt could not install it (no network?)"
		install_packages client_packages || clients="apt could not install it (no network?)"
	fi
	have gcc || left_out race "no C compiler for the race detector: ${why:-not installed}"
	have kinit || left_out kerberos "no kinit: ${why:-not installed}"
	have_proton || left_out proton "no python3-qpid-proton: ${clients:-not installed}"
	have_cryptography || left_out python "no python3-cryptography: ${clients:-not installed}"
	have_java || left_out java "no JDK: ${clients:-not installed}"
	node_left_out=$(why_no_node "$clients")
	[ -z "$node_left_out" ] || left_out node "$node_left_out"
	# One is bound by the processor, the others by the network.
	install_controllers &
	install_js_client "$clients" &
	install_linter
	wait
}
main
