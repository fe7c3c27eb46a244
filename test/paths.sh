# shellcheck shell=bash disable=SC2034 # sourced: says where setup.sh puts things and run.sh finds them
#
# A name carries a hash of everything the thing is built from, so a cache never serves what the scripts no longer describe.

cache=${WRITEBACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/writeback-lab}
samba_scripts=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/samba

digest() { (cd "$samba_scripts" && cat "$@" && uname -m) | sha256sum | cut -c1-12; }

golangci_module=github.com/golangci/golangci-lint/v2/cmd/golangci-lint
golangci_version=v2.15.0
linter_dir=$cache/golangci-lint-$golangci_version-$(go env GOVERSION)
linter=$linter_dir/golangci-lint

samba_roots=$(digest root.sh) samba_domains=$(digest root.sh enter.sh controller.sh seed.py)
samba_root=$cache/samba-4.24-root-$samba_roots
samba_snapshot=$cache/samba-4.24-domain-$samba_domains.tar.gz
samba_pair=$cache/samba-4.24-pair-$(digest root.sh enter.sh controller.sh seed.py pair.sh).tar.gz
samba417_root=$cache/samba-4.17-root-$samba_roots
samba417_snapshot=$cache/samba-4.17-domain-$samba_domains.tar.gz

js_client=$cache/js-client-$(cat "$(dirname "$samba_scripts")"/interop/js/package{,-lock}.json | sha256sum | cut -c1-12)
# Debian's, for which Debian's packages are; another one may come first on the PATH.
debian_python=/usr/bin/python3
