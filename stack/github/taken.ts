import * as pulumi from "@pulumi/pulumi";
import type { GithubConfig } from "../../config/stackConfig.ts";
import { stackTopic } from "./check.ts";
import {
  at,
  environmentOf,
  type Find,
  type Found,
  findRuleset,
  findVariable,
  type Github,
  hasContent,
  type Inputs,
  inOrganization,
  inRepository,
  lookingAt,
  type SettingsPath,
} from "./lookups.ts";

/** A foreign object that has the name of a new one: the create would overwrite it, or GitHub would refuse the create. */
interface Taken {
  /** The thing's name, for a sentence. */
  called(inputs: Inputs): string;
  find: Find;
  /** Whether it is this stack's, or as this stack would make it. Default: it is not. */
  isOwn?(found: Found, inputs: Inputs, github: Github): Promise<boolean>;
}

const secret = (pathOf: SettingsPath): Taken => ({
  called: ({ secretName }) => `the secret ${secretName}`,
  find: (inputs, github) =>
    at(github, `${pathOf(inputs, github.owner)}/secrets/${inputs.secretName}`),
  // It is replaced to be written anew, and a preview finds it then.
  async isOwn(_, { secretName, ...inputs }, github) {
    const beside = String(secretName).replace(/_AUTH_TLS_\w+$/, "_SECRETS");
    const found = await at(github, `${pathOf(inputs, github.owner)}/variables/${beside}`);
    return String(found?.body.value).includes(JSON.stringify(stackTopic()));
  },
});

const variable = (pathOf: SettingsPath): Taken => ({
  called: ({ variableName }) => `the variable ${variableName}`,
  find: findVariable(pathOf),
  isOwn: async ({ body }, { value }) => body.value === value,
});

const taken: Record<string, Taken> = {
  "github:index/repositoryEnvironment:RepositoryEnvironment": {
    called: ({ environment }) => `the environment ${environment}`,
    find: (inputs, github) => at(github, environmentOf(inputs, github.owner)),
  },
  "github:index/repositoryFile:RepositoryFile": {
    called: ({ file }) => `the file ${file}`,
    // Somebody reviews what a branch of the stack's own proposes.
    find: async ({ repository, file, branch }, github) =>
      branch === undefined
        ? at(github, `repos/${github.owner}/${repository}/contents/${file}`)
        : undefined,
    isOwn: async (found, { content }) => hasContent(found, content),
  },
  "github:index/repositoryRuleset:RepositoryRuleset": {
    called: ({ name }) => `the ruleset "${name}"`,
    find: findRuleset,
  },
  "github:index/actionsSecret:ActionsSecret": secret(inRepository),
  "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret": secret(environmentOf),
  "github:index/actionsOrganizationSecret:ActionsOrganizationSecret": secret(inOrganization),
  "github:index/actionsVariable:ActionsVariable": variable(inRepository),
  "github:index/actionsEnvironmentVariable:ActionsEnvironmentVariable": variable(environmentOf),
  "github:index/actionsOrganizationVariable:ActionsOrganizationVariable": variable(inOrganization),
};

/**
 * Refuses, at the preview already, to create an object whose name a foreign one has: the provider would overwrite that,
 * and delete it with the stack. The engine calls this hook before creates only, so objects in the stack's state pass.
 * It is for components: their resources inherit it.
 */
export function refuseTaken(config: GithubConfig): pulumi.ResourceTransformation {
  const github = lookingAt(config);
  return ({ type, name, props, opts }) => {
    const kind = taken[type];
    if (!kind) return undefined;
    const hook = new pulumi.ResourceHook(
      `${name}-is-free`,
      async ({ newInputs = {} }) => {
        const found = await kind.find(newInputs, github);
        if (!found || (await kind.isOwn?.(found, newInputs, github))) return;
        const where = newInputs.repository
          ? `${github.owner}/${newInputs.repository}`
          : github.owner;
        throw new Error(
          `${where} has ${kind.called(newInputs)} already, and this stack did not make it: the update would write over it, and a removal would delete it. Rename or delete what is there, or name another in the stack.`,
        );
      },
      { onDryRun: true },
    );
    return { props, opts: pulumi.mergeOptions(opts, { hooks: { beforeCreate: [hook] } }) };
  };
}
