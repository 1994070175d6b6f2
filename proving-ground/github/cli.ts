// `node proving-ground/github/cli.ts [organization…]`: a GitHub on loopback until it is interrupted.

import { startGithub } from "./github.ts";

const github = await startGithub({ organizations: process.argv.slice(2) });
console.log(`GITHUB_BASE_URL=${github.url}/\nGITHUB_TOKEN=${github.token}`);
const stop = async () => {
  await github.stop();
  for (const problem of github.problems) console.error(problem);
};
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);
