#!/bin/sh
# runc for a buildkitd whose build steps shall go through its proxies. BuildKit gives a step only the
# proxies that its client names; this adds the daemon's own to the others, below what the image and the
# Dockerfile set. The cache's keys are made before, so a changed proxy rebuilds nothing.
set -eu

runc=$(command -v buildkit-runc || command -v runc)

# runc … run --bundle DIR …, as BuildKit calls it.
bundle=
previous=
for word; do
	[ "$previous" != --bundle ] || bundle=$word
	previous=$word
done

config=$bundle/config.json
if [ -n "$bundle" ] && [ -f "$config" ]; then
	for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
		eval "value=\${$name:-}"
		# Values hold no quotes and backslashes; & is the match to sed.
		value=$(printf %s "$value" | sed 's/[&|]/\\&/g')
		[ -z "$value" ] || grep -q "\"$name=" "$config" ||
			sed -i "s|,\"env\":\\[\"|,\"env\":[\"$name=$value\",\"|" "$config"
	done
fi

exec "$runc" "$@"
