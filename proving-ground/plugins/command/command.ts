import { randomBytes } from "node:crypto";
import { differences } from "../provider/differences.ts";
import type { Diff, Existing, Request, Resource } from "../provider/plugin.ts";
import { check, type Fields } from "../provider/shapes.ts";
import { hasUnknowns, type PropertyMap, reveal, UNKNOWN } from "../provider/values.ts";
import type { Logging, Output } from "./output.ts";

/** The inputs of a command, wherever it runs. */
export interface CommandInputs {
  readonly create?: string;
  readonly update?: string;
  readonly delete?: string;
  readonly stdin?: string;
  readonly logging?: Logging;
  readonly environment?: { readonly [name: string]: string };
  readonly addPreviousOutputInEnv?: boolean;
}

/** Runs `command`; `previous` is what the run before this one printed. */
export type Run = (
  command: string,
  inputs: PropertyMap,
  previous: Output,
  request: Request,
) => Promise<Output>;

const NOTHING: Output = { stdout: "", stderr: "" };

/** A resource whose life is a command for each of its turns. */
export function commandResource(fields: Fields, run: Run): Resource {
  return {
    check: (inputs) => check(inputs, fields),
    diff: diffCommand,

    async create(inputs, request) {
      const id = uniqueId(request.name);
      if (request.preview) {
        return { id, state: { ...inputs, stdout: UNKNOWN, stderr: UNKNOWN } };
      }
      const { create } = revealed(inputs);
      const output =
        create === undefined ? NOTHING : await run(create, asPlain(inputs), NOTHING, request);
      return { id, state: { ...inputs, ...output } };
    },

    async update(old, news, request) {
      if (request.preview) {
        const runs = hasUnknowns(news) || differences(old.inputs, news).size > 0;
        const { stdout = "", stderr = "" } = old.state;
        return runs ? { ...news, stdout: UNKNOWN, stderr: UNKNOWN } : { ...news, stdout, stderr };
      }
      const { create, update = create } = revealed(news);
      const previous = printed(old.state);
      const output =
        update === undefined ? previous : await run(update, asPlain(news), previous, request);
      return { ...news, ...output };
    },

    async delete(old, request) {
      const { delete: command } = revealed(old.state);
      if (command === undefined) return;
      await run(command, asPlain(old.state), printed(old.state), request);
    },

    read: async ({ inputs, state }) => ({ inputs, state }),
  };
}

/**
 * Every changed input is a reason to run again. Setting, removing or exchanging `triggers` as a whole
 * is a new resource. A change inside of it is one, too, but it is the SDK that says so
 * (`replaceOnChanges: ["triggers[*]"]`); the official plugin itself calls it an update.
 */
export function diffCommand(old: Existing, news: PropertyMap): Diff {
  const changes = differences(old.inputs, news);
  return { changes, replaces: new Set(changes.has("triggers") ? ["triggers"] : []) };
}

/** The prefix and eight random hexadecimal digits. */
export function uniqueId(prefix: string): string {
  return prefix + randomBytes(4).toString("hex");
}

/** `PULUMI_COMMAND_STDOUT` and `…_STDERR`, unless the inputs forbid it or nothing was printed. */
export function previousOutputEnvironment(
  inputs: CommandInputs,
  previous: Output,
): { [name: string]: string } {
  if (inputs.addPreviousOutputInEnv === false) return {};
  return {
    ...(previous.stdout !== "" && { PULUMI_COMMAND_STDOUT: previous.stdout }),
    ...(previous.stderr !== "" && { PULUMI_COMMAND_STDERR: previous.stderr }),
  };
}

function asPlain(map: PropertyMap): PropertyMap {
  return reveal(map) as PropertyMap;
}

function revealed(map: PropertyMap): CommandInputs {
  return asPlain(map) as CommandInputs;
}

function printed(state: PropertyMap): Output {
  const { stdout, stderr } = asPlain(state);
  return {
    stdout: typeof stdout === "string" ? stdout : "",
    stderr: typeof stderr === "string" ? stderr : "",
  };
}
