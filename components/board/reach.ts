import { isIP } from "node:net";
import * as tls from "node:tls";
import { hostFromUrl } from "../socketAddress.ts";

/** PEM texts. */
export interface ClientFiles {
  ca: string;
  cert: string;
  key: string;
}

/** How a client begins HTTP/2 (RFC 9113): its preface, and empty settings. */
export const GREETING = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

/**
 * Why a client on this machine is not let in at `endpoint` (`tcp://host:port`); nothing where it is. The server answers the
 * greeting only to a client that it has accepted: by TLS 1.3, its refusal comes after the handshake.
 */
export function refusalAt(
  endpoint: string,
  serverName: string,
  { ca, cert, key }: ClientFiles,
  seconds = 10,
): Promise<string | undefined> {
  const { hostname, port } = new URL(endpoint);
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: hostFromUrl(hostname),
      port: Number(port),
      ca,
      cert,
      key,
      ALPNProtocols: ["h2"],
      // An address is no name for SNI, but stands in the certificate.
      ...(isIP(serverName) ? {} : { servername: serverName }),
      checkServerIdentity: (_, certificate) => tls.checkServerIdentity(serverName, certificate),
    });
    const end = (reason: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reason);
    };
    const timer = setTimeout(() => end(`no answer within ${seconds} s`), seconds * 1000);
    socket.on("secureConnect", () => socket.write(GREETING));
    socket.on("data", () => end(undefined));
    socket.on("error", (error) => end(error.message));
    socket.on("close", () => end("it ended the connection"));
  });
}
