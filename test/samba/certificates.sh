#!/usr/bin/env bash
# certificates.sh IP NAME... - makes an authority and the controller's server certificate in /lab/tls. Runs inside the root.
#
# The server's certificate is like the one AD CS gives a controller: RSA, server authentication, the controller's name first,
# then the domain's. Both are made anew for each run and the authority's key is removed at once, so nothing can be signed later.
set -euo pipefail
cd /lab/tls

ip=$1
shift
names=$(printf 'DNS:%s,' "$@")IP:$ip

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -sha256 -subj '/O=Lab/CN=Lab CA' \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt
openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout server.key -out server.csr
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 90 -sha256 -out server.crt -extfile <(
	printf '%s\n' basicConstraints=CA:FALSE keyUsage=critical,digitalSignature,keyEncipherment \
		extendedKeyUsage=serverAuth "subjectAltName=$names"
)
chmod 600 server.key
rm -f ca.key ca.srl server.csr
