import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stackFileSchema, stackSchemaPath } from "./jsonSchema.ts";

// Run after a change of the schema: node config/generateSchema.ts
const path = join(import.meta.dirname, "..", stackSchemaPath);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, `${JSON.stringify(stackFileSchema(), null, 2)}\n`);
