// Secrets and variables of Actions: of a repository, of an environment, of an organization.

import sodium from "libsodium-wrappers";
import type { Attributes } from "../provider/plan.ts";
import type { Resource } from "../provider/plugin.ts";
import type { Failure } from "../provider/shapes.ts";
import type { PropertyMap } from "../provider/values.ts";
import type { Client, Parameters } from "./client.ts";
import {
  githubResource,
  goTime,
  idPart,
  idParts,
  NOT_HERE,
  NUMBERS,
  STRING,
} from "./githubResource.ts";
import { REPOSITORY, repositoryId } from "./repositoryId.ts";

interface Inputs {
  readonly repository: string;
  readonly environment: string;
  readonly secretName: string;
  readonly variableName: string;
  readonly value: string;
  readonly visibility: string;
  readonly selectedRepositoryIds?: readonly number[];
}

interface State extends Inputs {
  readonly repositoryId: number;
  readonly keyId: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly remoteUpdatedAt: string;
}

/** Where settings are kept: a part of each route, and of each id. */
interface Place {
  readonly ofOrganization: boolean;
  readonly path: string;
  readonly attributes: Attributes;
  parameters(inputs: Inputs): Parameters;
  id(inputs: Inputs, name: string): string;
  imported(id: string): { readonly name: string; readonly others: PropertyMap };
}

const ENVIRONMENT = { shape: STRING, required: true, replaces: true } as const;

const OF_REPOSITORY: Place = {
  ofOrganization: false,
  path: "/repos/{owner}/{repo}/actions",
  attributes: { repository: REPOSITORY },
  parameters: ({ repository }) => ({ repo: repository }),
  id: ({ repository }, name) => `${repository}:${name}`,
  imported(id) {
    const [repository = "", name = ""] = idParts(id, 2);
    return { name, others: { repository } };
  },
};

const OF_ENVIRONMENT: Place = {
  ofOrganization: false,
  path: "/repos/{owner}/{repo}/environments/{environment}",
  attributes: { repository: REPOSITORY, environment: ENVIRONMENT },
  parameters: ({ repository, environment }) => ({ repo: repository, environment }),
  id: ({ repository, environment }, name) => `${repository}:${idPart(environment)}:${name}`,
  imported(id) {
    const [repository = "", environment = "", name = ""] = idParts(id, 3);
    return { name, others: { repository, environment } };
  },
};

const OF_ORGANIZATION: Place = {
  ofOrganization: true,
  path: "/orgs/{owner}/actions",
  attributes: {
    visibility: {
      shape: { kind: "string", allowed: ["all", "private", "selected"] },
      required: true,
    },
  },
  parameters: () => ({}),
  id: (_, name) => name,
  imported: (id) => ({ name: id, others: {} }),
};

function secretResource(
  place: Place,
  schemaVersion: number,
  client: () => Client,
  deleteBeforeReplace = false,
): Resource {
  const route = `${place.path}/secrets/{name}`;
  const parameters = (inputs: Inputs) => ({
    ...place.parameters(inputs),
    name: inputs.secretName,
  });
  const put = async (inputs: Inputs, client: Client) => {
    const { data: key } = await client.ask<{ readonly key_id: string; readonly key: string }>(
      `GET ${place.path}/secrets/public-key`,
      place.parameters(inputs),
    );
    await client.ask(`PUT ${route}`, {
      ...parameters(inputs),
      encrypted_value: await sealed(inputs.value, key.key),
      key_id: key.key_id,
      ...audience(place, inputs),
    });
  };
  return githubResource<Inputs, State>(client, {
    attributes: {
      ...place.attributes,
      secretName: { shape: STRING, required: true, replaces: true },
      value: { shape: STRING, required: true, secret: true },
      keyId: { shape: STRING, computed: true, unsupported: NOT_HERE },
      valueEncrypted: { shape: STRING, secret: true, unsupported: NOT_HERE },
      encryptedValue: { shape: STRING, secret: true, unsupported: NOT_HERE },
      plaintextValue: { shape: STRING, secret: true, unsupported: NOT_HERE },
      // Environments' secrets, the newest, never had it.
      ...(place !== OF_ENVIRONMENT && {
        destroyOnDrift: { shape: { kind: "boolean" }, unsupported: NOT_HERE },
      }),
      ...(place.ofOrganization && {
        selectedRepositoryIds: { shape: NUMBERS, unordered: true, replaces: true },
      }),
    },
    outputs: [
      "createdAt",
      "updatedAt",
      "remoteUpdatedAt",
      ...(place.ofOrganization ? [] : ["repositoryId" as const]),
    ],
    schemaVersion,
    deleteBeforeReplace,
    refuse: (inputs) => refusedName("secretName", inputs),
    async create(inputs, client) {
      await put(inputs, client);
      return { id: place.id(inputs, inputs.secretName) };
    },
    async read(_, state, client) {
      const found = await client.find<Dates>(`GET ${route}`, parameters(state));
      if (found === undefined) return undefined;
      const remoteUpdatedAt = goTime(found.data.updated_at);
      // When this stack wrote it stays as it was: the two tell whether somebody else did since. As with
      // the official plugin, that shows in the state alone, and changes nothing by itself.
      return {
        keyId: state.keyId ?? (await keyIdOf(place, state, client)),
        createdAt: state.createdAt ?? goTime(found.data.created_at),
        updatedAt: state.updatedAt ?? remoteUpdatedAt,
        remoteUpdatedAt,
        ...(!place.ofOrganization && (await repositoryId(state, client))),
        ...(await audienceNow(place, found.data, `GET ${route}`, parameters(state), state, client)),
      };
    },
    async update(_, inputs, __, client) {
      await put(inputs, client);
      return undefined;
    },
    async remove(_, state, client) {
      await client.ask(`DELETE ${route}`, parameters(state));
    },
    forgottenByUpdate: ["createdAt", "updatedAt", "keyId"],
    imported(id) {
      const { name, others } = place.imported(id);
      return { ...others, secretName: name };
    },
  });
}

function variableResource(
  place: Place,
  schemaVersion: number | undefined,
  client: () => Client,
): Resource {
  const route = `${place.path}/variables/{name}`;
  const parameters = (inputs: Inputs) => ({
    ...place.parameters(inputs),
    name: inputs.variableName,
  });
  return githubResource<Inputs, State>(client, {
    attributes: {
      ...place.attributes,
      variableName: { shape: STRING, required: true, replaces: true },
      value: { shape: STRING, required: true },
      ...(place.ofOrganization && { selectedRepositoryIds: { shape: NUMBERS, unordered: true } }),
    },
    outputs: ["createdAt", "updatedAt", ...(place.ofOrganization ? [] : ["repositoryId" as const])],
    ...(schemaVersion !== undefined && { schemaVersion }),
    refuse: (inputs) => refusedName("variableName", inputs),
    async create(inputs, client) {
      await client.ask(`POST ${place.path}/variables`, {
        ...parameters(inputs),
        value: inputs.value,
        ...audience(place, inputs),
      });
      return { id: place.id(inputs, inputs.variableName) };
    },
    async read(_, state, client) {
      const found = await client.find<Dates & { readonly value: string }>(
        `GET ${route}`,
        parameters(state),
      );
      if (found === undefined) return undefined;
      return {
        value: found.data.value,
        createdAt: goTime(found.data.created_at),
        updatedAt: goTime(found.data.updated_at),
        ...(!place.ofOrganization && (await repositoryId(state, client))),
        ...(await audienceNow(place, found.data, `GET ${route}`, parameters(state), state, client)),
      };
    },
    async update(_, inputs, __, client) {
      await client.ask(`PATCH ${route}`, {
        ...parameters(inputs),
        value: inputs.value,
        ...audience(place, inputs),
      });
      return undefined;
    },
    async remove(_, state, client) {
      await client.ask(`DELETE ${route}`, parameters(state));
    },
    imported(id) {
      const { name, others } = place.imported(id);
      return { ...others, variableName: name };
    },
  });
}

/** The six resources, by type. */
export function settings(client: () => Client): { readonly [type: string]: Resource } {
  return {
    "github:index/actionsSecret:ActionsSecret": secretResource(OF_REPOSITORY, 2, client),
    "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret": secretResource(
      OF_ENVIRONMENT,
      1,
      client,
      true,
    ),
    "github:index/actionsOrganizationSecret:ActionsOrganizationSecret": secretResource(
      OF_ORGANIZATION,
      1,
      client,
    ),
    "github:index/actionsVariable:ActionsVariable": variableResource(OF_REPOSITORY, 1, client),
    "github:index/actionsEnvironmentVariable:ActionsEnvironmentVariable": variableResource(
      OF_ENVIRONMENT,
      1,
      client,
    ),
    "github:index/actionsOrganizationVariable:ActionsOrganizationVariable": variableResource(
      OF_ORGANIZATION,
      undefined,
      client,
    ),
  };
}

interface Dates {
  readonly created_at: string;
  readonly updated_at: string;
  readonly visibility?: string;
}

async function keyIdOf(place: Place, inputs: Inputs, client: Client): Promise<string> {
  const route = `GET ${place.path}/secrets/public-key`;
  return (await client.ask<{ readonly key_id: string }>(route, place.parameters(inputs))).data
    .key_id;
}

async function sealed(value: string, publicKey: string): Promise<string> {
  await sodium.ready;
  const box = sodium.crypto_box_seal(value, Buffer.from(publicKey, "base64"));
  return Buffer.from(box).toString("base64");
}

function audience(place: Place, { visibility, selectedRepositoryIds = [] }: Inputs): Parameters {
  if (!place.ofOrganization) return {};
  return {
    visibility,
    ...(visibility === "selected" && { selected_repository_ids: selectedRepositoryIds }),
  };
}

async function audienceNow(
  place: Place,
  { visibility = "" }: Dates,
  route: string,
  parameters: Parameters,
  state: Inputs,
  client: Client,
): Promise<Partial<State>> {
  if (!place.ofOrganization) return {};
  // As the official plugin: who manages the repositories elsewhere sets none here.
  if (visibility !== "selected" || !state.selectedRepositoryIds?.length) return { visibility };
  const { data } = await client.ask<{ readonly repositories: readonly { readonly id: number }[] }>(
    `${route}/repositories`,
    { ...parameters, per_page: 100 },
  );
  return { visibility, selectedRepositoryIds: data.repositories.map(({ id }) => id) };
}

function refusedName(property: string, inputs: PropertyMap): Failure[] {
  const name = inputs[property];
  const failures: Failure[] = [];
  if (typeof name === "string" && !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
    const rule = "can only contain alphanumeric characters or underscores";
    failures.push({ property, reason: `secret names ${rule} and must not start with a number` });
  }
  if (typeof name === "string" && /^github_/i.test(name)) {
    failures.push({ property, reason: "secret names must not start with the GITHUB_ prefix" });
  }
  if (inputs.selectedRepositoryIds !== undefined && inputs.visibility !== "selected") {
    failures.push({
      property: "selectedRepositoryIds",
      reason: "cannot use selected_repository_ids without visibility being set to selected",
    });
  }
  return failures;
}
