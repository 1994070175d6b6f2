/** A name or address as it stands in a URL: an IPv6 address in brackets. */
export function hostInUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** The reverse: the host that a URL's `hostname` names, without brackets. */
export function hostFromUrl(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/** `host:port`, as URLs, systemd and buildkitd write it. */
export function socketAddress({ address, port }: { address: string; port: number }): string {
  return `${hostInUrl(address)}:${port}`;
}
