import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { configurationReference, referencePath } from "./reference.ts";

// Run after a change of the schema: node config/generateReference.ts
const path = join(import.meta.dirname, "..", referencePath);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, configurationReference());
