// `node proving-ground/github/cli.ts [--port PORT] [--connection FILE] [organization…]`: a GitHub on loopback until it
// is ended by a signal. FILE is written when it answers.

import { rename, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { startGithub } from "./github.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { port: { type: "string" }, connection: { type: "string" } },
});
const github = await startGithub({
  organizations: positionals,
  ...(values.port && { port: Number(values.port) }),
});
const { url, token } = github;
if (values.connection) {
  const part = `${values.connection}.part`;
  await writeFile(part, JSON.stringify({ url, token, pid: process.pid }), { mode: 0o600 });
  await rename(part, values.connection);
} else {
  console.log(`GITHUB_BASE_URL=${url}/\nGITHUB_TOKEN=${token}`);
}
const stop = async () => {
  await github.stop();
  for (const problem of github.problems) console.error(problem);
};
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);
