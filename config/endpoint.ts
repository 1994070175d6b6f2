import { isDnsName, isIp, port as portNumber } from "../components/schema/values.ts";
import { socketAddress } from "../components/socketAddress.ts";
import { hostIn, isLoopback } from "./addresses.ts";

/** Where clients reach a builder. */
export interface Endpoint {
  /** Without brackets. Clients verify it in the builder's certificate. */
  host: string;
  port: number;
}

/** Reads `tcp://host:port`. */
export function parseEndpoint(value: string): Endpoint | undefined {
  const [, bracketed, bare, digits] =
    /^tcp:\/\/(?:\[([0-9a-f:.]+)\]|([^\s:/[\]@]+)):(\d{1,5})$/i.exec(value) ?? [];
  const host = bracketed ?? bare ?? "";
  const port = Number(digits);
  const isHost = isIp(host) || (bracketed === undefined && isDnsName(host));
  return isHost && portNumber.safeParse(port).success ? { host, port } : undefined;
}

/** `tcp://host:port`, as clients take it. */
export function endpointUrl({ host, port }: Endpoint): string {
  return `tcp://${socketAddress({ address: host, port })}`;
}

/** Tells endpoints apart, in whatever words their hosts are. */
export function endpointId({ host, port }: Endpoint): string {
  const address = socketAddress({ address: host, port });
  return `${isLoopback(host) ? "localhost" : hostIn(address).toLowerCase()}:${port}`;
}
