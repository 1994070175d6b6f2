#!/usr/bin/env node
// The bin: `npx buildhosts` in the clone, or `buildhosts` after `npm link`. Like `npm run`, it starts in a fresh clone on
// Node.js 20: bootstrap.mjs installs what is missing and hands over to a Node.js that runs TypeScript.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.argv.splice(2, 0, join(dirname(fileURLToPath(import.meta.url)), "main.ts"));
await import("./bootstrap.mjs");
