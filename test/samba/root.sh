#!/usr/bin/env bash
# root.sh VERSION DIR - unpacks Debian with Samba's AD domain controller into DIR, a root to chroot into.
#
#   4.24  Debian trixie with Samba from trixie-backports: knows the policy hints control and channel binding, as Windows does
#   4.17  Debian 12 with its own Samba: knows neither; a controller as they are in use without the control
#
# Why unpacked only: no maintainer script runs, so no daemon starts and nothing is configured, and the machine's own packages
# stay as they are; that takes half a minute, where a full installation takes one and a half. What those scripts would have
# left behind and Samba needs is made at the end.
#
# DIR appears whole or not at all: the work happens beside it and is renamed.
set -euo pipefail
export LC_ALL=C.UTF-8

version=${1:?usage: root.sh VERSION DIR} target=${2:?usage: root.sh VERSION DIR}
building=$target.building.$$
trap 'rm -rf --one-file-system "$building"' EXIT

# The mirror is the one this machine already trusts and reaches; its signature is checked with Debian's own keyring.
mirror=${WRITEBACK_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
	grep -E '/debian/?$' | sort -u | head -n 1)}
[ -n "$mirror" ] || { echo "root.sh: apt knows no Debian mirror; set WRITEBACK_DEBIAN_MIRROR" >&2; exit 1; }

packages=(
	samba-ad-provision samba-dsdb-modules winbind ldb-tools # the controller's provisioning and database tools
	python3 python3-minimal                                 # samba-tool and the seed
	openssl                                                 # the lab's certificates
	base-files base-passwd bash coreutils dash debianutils findutils gawk grep hostname libc-bin sed tar tzdata util-linux
)
case $version in
4.24) # the backports come first where they have a package
	suite=trixie archives=(trixie trixie-backports) packages+=(samba-ad-dc)
	hooks=(--setup-hook='printf "Package: *\nPin: release n=trixie-backports\nPin-Priority: 900\n" >"$1/etc/apt/preferences"')
	;;
4.17) # packages of Debian 12 do not bring the links /bin, /lib and /sbin themselves
	suite=bookworm archives=(bookworm) packages+=(samba samba-vfs-modules)
	hooks=(--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr)
	;;
*) echo "root.sh: no Samba $version; choose 4.24 or 4.17" >&2; exit 2 ;;
esac
sources=()
for archive in "${archives[@]}"; do sources+=("deb $mirror $archive main"); done

# An extracted root runs no dpkg triggers: keep only what is needed to run, drop documents and translations while unpacking.
mmdebstrap --quiet --mode=root --variant=extract \
	--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
	"${hooks[@]}" --include="$(IFS=,; echo "${packages[*]}")" "$suite" "$building" "${sources[@]}" >&2

# What the maintainer scripts would have made.
cp "$building/usr/share/base-passwd/passwd.master" "$building/etc/passwd"
cp "$building/usr/share/base-passwd/group.master" "$building/etc/group"
[ -e "$building/bin" ] || ln -s usr/bin "$building/bin"
ln -sf bash "$building/usr/bin/sh"
ln -sf gawk "$building/usr/bin/awk"
[ -e "$building/usr/bin/python3" ] || ln -s "$(basename "$(find "$building/usr/bin" -name 'python3.[0-9]*' | sort | head -n 1)")" "$building/usr/bin/python3"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$building/etc/nsswitch.conf"
echo '127.0.0.1 localhost' >"$building/etc/hosts"
: >"$building/etc/resolv.conf"
# /lab is where the controller's state is mounted; the others are mount points too.
mkdir -p "$building"/{lab,proc,sys,dev,run,tmp,root} "$building"/var/{cache,log}/samba "$building"/var/lib/samba/private
chroot "$building" ldconfig

rm -rf "$building"/var/cache/apt/* "$building"/var/lib/apt/lists/* "$building"/usr/share/{doc,man,locale,info,perl}
chroot "$building" /usr/sbin/samba --version >"$building/SAMBA-VERSION" # proves that it runs at all
mv -T "$building" "$target"
