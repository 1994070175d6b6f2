import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { hostFromUrl } from "../components/socketAddress.ts";

// Where names and addresses lead, by their text alone: nothing here asks a name server.

/** The range of an address; undefined for a name. */
function rangeOf(host: string): string | undefined {
  return isIP(host) === 0 ? undefined : ipaddr.process(host).range();
}

/** Carrier-grade NAT is where VPNs give their members addresses from. */
const localRanges = ["loopback", "private", "carrierGradeNat", "linkLocal", "uniqueLocal"];

/** Whether this host is the asking machine itself. */
export function isLoopback(host: string): boolean {
  return rangeOf(host) === "loopback" || /^(.+\.)?localhost$/i.test(host);
}

/** Whether only a local network, or a VPN, has this host. */
export function isLocal(host: string): boolean {
  const range = rangeOf(host);
  if (range !== undefined) return localRanges.includes(range);
  return (
    isLoopback(host) || !host.includes(".") || /\.(local|lan|internal|home\.arpa)$/i.test(host)
  );
}

/** Whether the name belongs to multicast DNS, so that no DNS server knows it. */
export function isMulticastName(host: string): boolean {
  return isIP(host) === 0 && /\.local\.?$/i.test(host);
}

/** The host of a URL or of `host:port/path`, without brackets. */
export function hostIn(address: string): string {
  const url = URL.parse(/^\w+:\/\//.test(address) ? address : `tcp://${address}`);
  return url ? hostFromUrl(url.hostname) : "";
}

/** Whether a daemon listens on all addresses of its machine. */
export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}
