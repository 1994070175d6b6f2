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
	for names in 'HTTP_PROXY http_proxy' 'HTTPS_PROXY https_proxy' 'NO_PROXY no_proxy'; do
		upper=${names% *}
		lower=${names#* }
		eval "value=\${$upper:-\${$lower:-}}"
		# Some programs read one of the two only: curl, apt and busybox the lower one.
		if [ -z "$value" ] || grep -q -e "\"$upper=" -e "\"$lower=" "$config"; then
			continue
		fi
		# Values hold no quotes and backslashes; & is the match to sed.
		value=$(printf %s "$value" | sed 's/[&|]/\\&/g')
		sed -i "s|,\"env\":\\[\"|,\"env\":[\"$upper=$value\",\"$lower=$value\",\"|" "$config"
	done
fi

exec "$runc" "$@"
