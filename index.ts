import "./stack/sdkDebugging.ts";
import { loadConfig } from "./config/load.ts";
import { compose } from "./stack/compose.ts";
import { checkGithub } from "./stack/github/check.ts";

const config = loadConfig(import.meta.dirname);
if (config.github) await checkGithub(config.github);

export const { builders, pools, clientCertificates, buildx, buildctl } = await compose(config);
