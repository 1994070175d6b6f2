#!/bin/sh
# prepare-host.sh URL: makes this board a Docker host. URL is a folder with `packages`, a list of
# the packages beside it, and host.tar.gz, files to be unpacked below /.
#
# Afterwards dockerd serves its socket and, with certificates of a CA of its own, TLS on port 2376.
set -eu
from=$1

curl --fail --silent --show-error "$from/host.tar.gz" | tar --directory=/ -xz
mkdir /var/tmp/packages
cd /var/tmp/packages
curl --fail --silent --show-error "$from/packages" | while read -r name; do
  curl --fail --silent --show-error --remote-name "$from/$name"
done
# Nothing starts before the certificates are there.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
# dpkg makes every file safe against a power cut; the snapshot afterwards is enough.
DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io --force-confold --install ./*.deb
rm /usr/sbin/policy-rc.d
cd /
rm -r /var/tmp/packages
usermod --append --groups docker builder

cd /etc/docker/tls
umask 077
certificate() {
  name=$1
  shift
  openssl req -x509 -config extensions.cnf -extensions "$name" -days 3650 -noenc -quiet \
    -subj "/O=virtual Docker host/CN=$name" \
    -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$name-key.pem" "$@"
}
certificate ca -out ca.pem
certificate server -CA ca.pem -CAkey ca-key.pem -out server-cert.pem
certificate client -CA ca.pem -CAkey ca-key.pem -out client-cert.pem
# Nobody is to be let in later.
rm ca-key.pem

systemctl daemon-reload
systemctl start docker.service
