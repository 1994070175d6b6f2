import { socketAddress } from "../socketAddress.ts";
import { serverIds, WEIGHT } from "./consistentHash.ts";

/** A builder as a pool reaches it. */
export interface PoolServer {
  name: string;
  /** Without brackets. */
  host: string;
  port: number;
}

export interface HaproxyInputs {
  /** The name in the builders' certificates; a project's is one label before it. */
  domain: string;
  listen: { address: string; port: number };
  metrics: { address: string; port: number };
  servers: readonly PoolServer[];
  /** Whom HAProxy becomes after it has read its files; nothing where it is started without root. */
  user: string | undefined;
}

/**
 * Files in the folder that the environment variable POOL_FILES names: the builders' CA, and the health check's client,
 * certificate and key in one. HAProxy has no other way to find a server's files from where haproxy.cfg lies.
 */
export const CA_FILE = "ca.pem";
export const CLIENT_FILE = "health-check.pem";

/**
 * haproxy.cfg of a pool, for HAProxy 2.6 and later. TLS goes through: the name that the client asks for is read, and nothing
 * is decrypted.
 */
export function haproxyCfg({ domain, listen, metrics, servers, user }: HaproxyInputs): string {
  const ids = serverIds(servers.map(({ name }) => name));
  const lines = [...servers]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, host, port }) => {
      const address = socketAddress({ address: host, port });
      return `  server ${name} ${address} id ${ids.get(name)}`;
    });
  return `# Written by buildhosts: a change here is lost.
global
  ca-base "\${POOL_FILES}"
  crt-base "\${POOL_FILES}"
${user === undefined ? "" : `  user ${user}\n  group ${user}\n`}  log stdout format raw daemon
  # A reload leaves running builds to the process before, which ends with the last of them, or then.
  hard-stop-after 24h

defaults
  log global
  timeout connect 2s
  # A build is never silent for so long: its client and its builder ask each other every few seconds.
  timeout client 1h
  timeout server 1h
  # One that is gone without a word, as after a power cut.
  option clitcpka
  clitcpka-idle 30s
  clitcpka-intvl 10s
  clitcpka-cnt 3
  option srvtcpka
  srvtcpka-idle 30s
  srvtcpka-intvl 10s
  srvtcpka-cnt 3

frontend pool
  mode tcp
  bind ${bindAddress(listen)}
  tcp-request inspect-delay 5s
  tcp-request content reject unless { req.ssl_hello_type 1 }
  # Kept, because the greeting has gone on by the time that a builder is chosen.
  tcp-request content set-var(sess.project) req.ssl_sni,lower
  log-format "%ci %[var(sess.project)] %s %Tt ms %U+%B bytes %ts"
  default_backend builders

backend builders
  mode tcp
  # Each project has a builder, and another one while that is down.
  balance hash var(sess.project)
  hash-type consistent sdbm avalanche
  option redispatch 1
  retries 3
  # A client of buildkitd: TLS alone would call a builder up that refuses every client, which it says after the handshake.
  option httpchk
  http-check send meth POST uri /grpc.health.v1.Health/Check ver HTTP/2 hdr host ${domain} hdr content-type application/grpc hdr te trailers
  http-check expect hdr name content-type value -m beg application/grpc
  # A builder under load answers late, and is not down: each handshake has the 2 s of \`inter\`, and then its answer 5 s.
  timeout check 5s
  default-server weight ${WEIGHT} init-addr libc,none inter 2s fastinter 300ms downinter 1s fall 3 rise 2
  default-server check check-ssl check-proto h2 check-alpn h2 check-sni ${domain} verify required ca-file ${CA_FILE} crt ${CLIENT_FILE}
${lines.join("\n")}

# For Prometheus, and for people. There is no authentication.
frontend metrics
  mode http
  bind ${bindAddress(metrics)}
  timeout client 10s
  http-request use-service prometheus-exporter if { path /metrics }
  stats enable
  stats uri /
`;
}

/** HAProxy takes what is behind the last colon as the port, so an address of IPv6 has no brackets. */
function bindAddress({ address, port }: { address: string; port: number }): string {
  return address === "::" ? `:::${port} v4v6` : `${address}:${port}`;
}
