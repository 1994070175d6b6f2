import type { GithubConfig } from "../../config/stackConfig.ts";
import { askGithub, type GithubAnswer, type GithubQuestion } from "./api.ts";

/** A resource's inputs, as the provider gets them. */
export type Inputs = Record<string, unknown>;

/** The object on GitHub that already has the name of a refused create. */
export interface Found {
  /** Below the API's address. */
  path: string;
  /** GitHub's description of it. */
  body: Record<string, unknown>;
}

export interface Github {
  owner: string;
  ask(path: string, question?: GithubQuestion): Promise<GithubAnswer>;
}

export const byName = async (
  { ask }: Github,
  list: string,
  name: unknown,
  /** The key of the answer that holds the list. Default: the answer is the list. */
  key = "",
): Promise<Found | undefined> => {
  const { body } = await ask(`${list}?per_page=100`);
  const items = (Array.isArray(body) ? body : (body[key] ?? [])) as Record<string, unknown>[];
  const found = items.find((one) => one.name === name);
  return found && { path: `${list}/${found.id}`, body: found };
};

export const at = async ({ ask }: Github, path: string): Promise<Found | undefined> => {
  const { status, body } = await ask(path);
  return status === 200 ? { path, body } : undefined;
};

/** The path of the environment that a resource's inputs name. */
export const environmentOf: SettingsPath = ({ repository, environment }, owner) =>
  `repos/${owner}/${repository}/environments/${encodeURIComponent(String(environment))}`;

/** The API's path of variables and secrets, by a resource's inputs. */
export type SettingsPath = (inputs: Inputs, owner: string) => string;
export const inRepository: SettingsPath = ({ repository }, owner) =>
  `repos/${owner}/${repository}/actions`;
export const inOrganization: SettingsPath = (_, owner) => `orgs/${owner}/actions`;

/** Finds the object that a resource's inputs name. */
export type Find = (inputs: Inputs, github: Github) => Promise<Found | undefined>;

export const findVariable =
  (pathOf: SettingsPath): Find =>
  (inputs, github) =>
    at(github, `${pathOf(inputs, github.owner)}/variables/${inputs.variableName}`);

export const findRuleset: Find = ({ repository, name }, github) =>
  byName(github, `repos/${github.owner}/${repository}/rulesets`, name);

/** Whether a file of a repository has this text. */
export const hasContent = ({ body }: Found, content: unknown): boolean =>
  Buffer.from(String(body.content), "base64").toString() === content;

export function lookingAt(config: GithubConfig): Github {
  return {
    owner: config.owner,
    ask: (path, question) => askGithub(config, path, question),
  };
}
