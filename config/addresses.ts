import { BlockList, isIP } from "node:net";

/** What a name or an address says of where it leads, without asking anybody. */

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

const local = new BlockList();
for (const [network, bits] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  // Carrier-grade NAT, which VPNs give their members addresses from.
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
] as const) {
  local.addSubnet(network, bits, "ipv4");
}
local.addSubnet("fc00::", 7, "ipv6");
local.addSubnet("fe80::", 10, "ipv6");

function isIn(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** Whether a machine that is told this host asks itself. */
export function isLoopback(host: string): boolean {
  return isIn(loopback, host) || /^(.+\.)?localhost$/i.test(host);
}

/** Whether only a local network, or a VPN, has this host. */
export function isLocal(host: string): boolean {
  if (isIP(host) !== 0) return isIn(loopback, host) || isIn(local, host);
  return (
    isLoopback(host) || !host.includes(".") || /\.(local|lan|internal|home\.arpa)$/i.test(host)
  );
}

/** Whether the name is one of multicast DNS, which no DNS server is asked for. */
export function isMulticastName(host: string): boolean {
  return isIP(host) === 0 && /\.local\.?$/i.test(host);
}

/** The host of a URL or of `host:port/path`, without brackets. */
export function hostIn(address: string): string {
  const url = URL.parse(/^\w+:\/\//.test(address) ? address : `tcp://${address}`);
  return url?.hostname.replace(/^\[|\]$/g, "") ?? "";
}
