import { createServer } from "node:net";

/**
 * A free loopback port below the range from which the kernel hands out ports to outgoing connections, so
 * that it is still free when what listens there starts the next time.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("no free port between 20000 and 31999 on 127.0.0.1");
}
