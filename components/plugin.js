// What Pulumi loads of this package. It loads a .ts entry through ts-node, which knows no ES modules;
// Node strips the types of what a .js entry imports.
export * from "./index.ts";
