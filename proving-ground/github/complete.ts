import type { Answer, Json, JsonObject, World } from "./api.ts";

/** `answer` of the emulator with what GitHub's description demands and the emulator leaves out. */
export function complete(world: World, operation: string, answer: Answer): Answer {
  if (answer.status >= 300 || answer.body === undefined || Buffer.isBuffer(answer.body)) {
    return answer;
  }
  let body = withAccounts(world, answer.body);
  if (operation.endsWith(" /orgs/{org}")) body = organization(body as JsonObject);
  if (operation.includes("/releases")) body = withDigests(body);
  if (operation.includes("/pulls")) body = withoutForeignPushes(body);
  return { ...answer, body };
}

/** GitHub leaves out what is not set, and the emulator answers null for it. */
function organization(body: JsonObject): JsonObject {
  const set = Object.entries(body).filter(([, value]) => value !== null);
  return { archived_at: null, description: null, ...Object.fromEntries(set) };
}

/** Only where a fork is merged is there somebody else to let push. */
function withoutForeignPushes(value: Json): Json {
  return mapObjects(value, (object) =>
    "maintainer_can_modify" in object ? { ...object, maintainer_can_modify: false } : object,
  );
}

/** An organization that owns something looks like a user there. */
function withAccounts(world: World, value: Json): Json {
  return mapObjects(value, (object) => {
    if (typeof object.login !== "string" || "followers_url" in object || "followers" in object) {
      return object;
    }
    return { ...addressesOf(world, object.login), type: "Organization", ...object };
  });
}

/** What every account has beside what tells it from others. */
export function addressesOf(world: World, login: string): JsonObject {
  const url = `${world.url}/api/v3/users/${login}`;
  return {
    gravatar_id: "",
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    html_url: `${world.url}/${login}`,
    site_admin: false,
  };
}

/** The checksum of a release's asset, which the emulator does not make. */
function withDigests(value: Json): Json {
  return mapObjects(value, (object) =>
    "browser_download_url" in object ? { digest: null, ...object } : object,
  );
}

function mapObjects(value: Json, change: (object: JsonObject) => JsonObject): Json {
  if (Array.isArray(value)) return value.map((inner) => mapObjects(inner, change));
  if (typeof value !== "object" || value === null) return value;
  return change(
    Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, mapObjects(inner, change)]),
    ),
  );
}
