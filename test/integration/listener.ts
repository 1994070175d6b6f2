import { createServer, type Socket } from "node:net";

/** A port of this machine's loopback, for RUN steps to reach. */
export interface Listener {
  port: number;
  /** Fulfilled by the first connection, which stays open until `close`. */
  connected: Promise<void>;
  /** Ends the connections, and listens no more. */
  close(): void;
}

export function listen(): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<Socket>();
    // A client that has nothing to say closes its half at once.
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on("error", () => {}).resume();
    });
    const connected = new Promise<void>((first) => server.once("connection", () => first()));
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      const close = () => {
        for (const socket of sockets) socket.end();
        server.close();
      };
      resolve({ port, connected, close });
    });
  });
}
