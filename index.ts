import "./stack/sdkDebugging.ts";
import { loadConfig } from "./config/load.ts";
import { compose } from "./stack/compose.ts";

export const { builders, clientCertificates, buildx, buildctl } = compose(
  loadConfig(import.meta.dirname),
);
