// Kinds of inputs that several resources have.

import type { Attribute } from "../provider/plan.ts";
import type { Shape } from "../provider/shapes.ts";

export const STRING: Shape = { kind: "string" };
export const BOOLEAN: Shape = { kind: "boolean" };
export const NUMBER: Shape = { kind: "number" };
/** A number from 0 up. */
export const COUNT: Shape = { kind: "number", minimum: 0 };
export const STRINGS: Shape = { kind: "list", of: STRING };
/** Texts by name. */
export const TEXTS: Shape = { kind: "map", of: STRING };

export const LABELS: Attribute = {
  shape: {
    kind: "list",
    of: {
      kind: "object",
      fields: {
        label: { shape: STRING, required: true },
        value: { shape: STRING, required: true },
      },
    },
  },
  unordered: true,
};

/** What is said of an input that the official plugin has and the stand-in has not. */
export const NOT_HERE =
  "the offline stand-in for the plugin docker 5.0.0 does not have this input; with internet, " +
  "`pulumi plugin install resource docker 5.0.0` gets the plugin that does";
