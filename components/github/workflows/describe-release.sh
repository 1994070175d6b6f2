#!/usr/bin/env bash
# Gathers what a release consists of in release/, with checksums, and writes its text to notes.md.
#
# IMAGE, IMAGE_TAG, DIGEST  the image
# RELEASE                   the release's tag
# ATTESTED                  whether GitHub attests where the files come from
set -euo pipefail

rm -rf release
mkdir release
cp binaries/* packages/* sbom/* release/
cd release
tar --create --gzip --file "$RELEASE.tar.gz" --owner 0 --group 0 --mode 0755 --transform 's,^,bin/,' buildkitd buildctl
sha256sum -- * >SHA256SUMS
version=$(jq -r .version BUILD.json)
commit=$(jq -r .commit BUILD.json)
attestation=
[ "$ATTESTED" != true ] || attestation="
gh attestation verify buildkitd --repo $GITHUB_REPOSITORY"
cat >../notes.md <<END
BuildKit \`$version\` (moby/buildkit@$commit), built natively for riscv64.

| | |
| --- | --- |
| image | \`$IMAGE:$IMAGE_TAG\` |
| digest | \`$DIGEST\` |
| Debian, Ubuntu | \`sudo apt install ./$(echo *.deb)\` |
| Fedora, openEuler | \`sudo dnf install ./$(echo *.rpm)\` |
| elsewhere | \`sudo tar -C /usr/local -xzf $RELEASE.tar.gz\` |

To check what you have:

\`\`\`sh
sha256sum --check --ignore-missing SHA256SUMS$attestation
cosign verify $IMAGE@$DIGEST --certificate-oidc-issuer https://token.actions.githubusercontent.com --certificate-identity-regexp '^https://github.com/$GITHUB_REPOSITORY/'
\`\`\`
END
cat SHA256SUMS
