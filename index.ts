import "./stack/sdkDebugging.ts";
import "./stack/sdkOutputs.ts";
import { loadConfig } from "./config/load.ts";
import { compose } from "./stack/compose.ts";
import { findDrift } from "./stack/drift.ts";
import { checkGithub } from "./stack/github/check.ts";

const config = loadConfig(import.meta.dirname);
// Hosts take longest to answer: they are asked first.
const drift = findDrift(config);
if (config.github) await Promise.all([checkGithub(config.github), drift]);

export const { builders, pools, clientCertificates, buildx, buildctl } = await compose(
  config,
  drift,
);
