import type { Configuration } from "../provider/plugin.ts";
import { check, type Fields } from "../provider/shapes.ts";
import { type PropertyMap, reveal, type Value } from "../provider/values.ts";
import { type Client, connect } from "./client.ts";

const STRING = { shape: { kind: "string" } } as const;

/** As the official plugin: its provider takes numbers and booleans as JSON in strings. */
const FIELDS: Fields = {
  baseUrl: STRING,
  owner: STRING,
  token: { ...STRING, secret: true },
  readDelayMs: STRING,
  writeDelayMs: STRING,
  retryDelayMs: STRING,
  maxRetries: STRING,
  parallelRequests: STRING,
};

const NUMBERS = { readDelayMs: 0, writeDelayMs: 1000, retryDelayMs: 1000, maxRetries: 3 } as const;

/** The provider's configuration, and the client that it makes. */
export function configuration(): Configuration & { client(): Client } {
  let client: Client | undefined;
  return {
    check(inputs) {
      const withDefaults: { [name: string]: Value } = {
        baseUrl: process.env.GITHUB_BASE_URL ?? "https://api.github.com/",
        ...(process.env.GITHUB_TOKEN !== undefined && { token: process.env.GITHUB_TOKEN }),
        ...inputs,
      };
      const checked = check(withDefaults, FIELDS);
      const failures = [...checked.failures];
      for (const name of Object.keys(NUMBERS)) {
        const value = reveal(withDefaults[name] ?? "0");
        if (typeof value === "string" && !/^\d+$/.test(value)) {
          failures.push({ property: name, reason: `is ${JSON.stringify(value)}; the least is 0` });
        }
      }
      return { ...checked, failures };
    },

    async configure(inputs) {
      const { baseUrl, owner, token, parallelRequests, ...numbers } = reveal(inputs) as Plain;
      const number = (name: keyof typeof NUMBERS) => Number(numbers[name] ?? NUMBERS[name]);
      client = await connect({
        baseUrl: baseUrl ?? "https://api.github.com/",
        owner: process.env.GITHUB_OWNER || (owner ?? ""),
        token: token ?? "",
        parallelRequests: parallelRequests === "true",
        readDelayMs: number("readDelayMs"),
        writeDelayMs: number("writeDelayMs"),
        retryDelayMs: number("retryDelayMs"),
        maxRetries: number("maxRetries"),
      });
    },

    client() {
      if (client === undefined) throw new Error("the provider is not configured yet");
      return client;
    },
  };
}

type Plain = PropertyMap & { readonly [name: string]: string | undefined };
