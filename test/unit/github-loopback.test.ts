import sodium from "libsodium-wrappers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { JsonObject } from "../../proving-ground/github/api.ts";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { Description } from "../../proving-ground/github/openapi/description.ts";

let github: Github;

beforeEach(async () => {
  github = await startGithub({ organizations: ["builders"] });
  await github.ask("POST", "/orgs/builders/repos", { name: "buildkit", auto_init: true });
  github.problems.length = 0;
});

afterEach(async () => {
  await github.stop();
});

const REPOSITORY = "/repos/builders/buildkit";

/** A request as any client sends it; tests of what GitHub says to one. */
async function request(method: string, path: string, body?: JsonObject, token = github.token) {
  const response = await fetch(`${github.apiUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === "" ? undefined : JSON.parse(text),
  };
}

async function sealed(path: string, value: string) {
  const { body } = await request("GET", `${path}/secrets/public-key`);
  const key = Buffer.from(body.key, "base64");
  const box = Buffer.from(sodium.crypto_box_seal(value, key)).toString("base64");
  return { encrypted_value: box, key_id: body.key_id as string };
}

describe("the GitHub on loopback", () => {
  test("has the addresses of a GitHub Enterprise Server", async () => {
    const { body } = await request("GET", REPOSITORY);
    expect(body.url).toBe(`${github.apiUrl}${REPOSITORY}`);
    expect(body.html_url).toBe(`${github.url}/builders/buildkit`);
    expect(github.problems).toEqual([]);
  });

  test("refuses a foreign token", async () => {
    const { status, body } = await request("GET", "/user", undefined, "ghp_another");
    expect([status, body.message]).toEqual([401, "Bad credentials"]);
  });

  test.each([
    ["/repos/{owner}/{repo}/actions", "builders/buildkit", `${REPOSITORY}/actions`],
    ["an environment", "builders/buildkit/production", `${REPOSITORY}/environments/production`],
    ["/orgs/{org}/actions", "builders", "/orgs/builders/actions"],
  ])("opens the secrets sealed for %s", async (_, place, path) => {
    await github.ask("PUT", `${REPOSITORY}/environments/production`, {});
    const audience: JsonObject = place === "builders" ? { visibility: "private" } : {};
    const body = { ...(await sealed(path, "a key\n")), ...audience };
    expect((await request("PUT", `${path}/secrets/client_key`, body)).status).toBe(201);
    expect(await github.secret(place, "CLIENT_KEY")).toMatchObject({ value: "a key\n" });
    expect((await request("PUT", `${path}/secrets/CLIENT_KEY`, body)).status).toBe(204);
    expect(await github.ask("GET", `${path}/secrets`)).toMatchObject({ total_count: 1 });

    const shown = JSON.stringify(await github.ask("GET", `${path}/secrets/CLIENT_KEY`));
    expect(shown).not.toContain("a key");
    expect((await request("DELETE", `${path}/secrets/CLIENT_KEY`)).status).toBe(204);
    expect(await github.secret(place, "CLIENT_KEY")).toBeUndefined();
    expect(github.problems).toEqual([]);
  });

  test("refuses a secret that was sealed for another key", async () => {
    const { key_id } = await sealed(`${REPOSITORY}/actions`, "x");
    const other = sodium.crypto_box_seal("x", sodium.crypto_box_keypair().publicKey);
    const encrypted_value = Buffer.from(other).toString("base64");
    const path = `${REPOSITORY}/actions/secrets/CA`;
    const { status, body } = await request("PUT", path, { encrypted_value, key_id });
    expect(status).toBe(422);
    expect(body.message).toContain("key ID or encryption is not valid");
  });

  test("gives a secret that was changed another time", async () => {
    const path = `${REPOSITORY}/actions`;
    await request("PUT", `${path}/secrets/CA`, await sealed(path, "x"));
    const before = await github.secret("builders/buildkit", "CA");
    await github.setSecret("builders/buildkit", "CA", "y");
    const after = await github.secret("builders/buildkit", "CA");
    expect(after?.createdAt).toBe(before?.createdAt);
    expect(after?.updatedAt).not.toBe(before?.updatedAt);
  });

  test("takes a variable's name once", async () => {
    const variables = `${REPOSITORY}/actions/variables`;
    const body = { name: "ENDPOINT", value: "tcp://a:1234" };
    expect((await request("POST", variables, body)).status).toBe(201);
    expect((await request("POST", variables, body)).status).toBe(409);
    expect((await request("PATCH", `${variables}/ENDPOINT`, { value: "b" })).status).toBe(204);
    expect(await github.ask("GET", `${variables}/ENDPOINT`)).toMatchObject({ value: "b" });
    expect((await request("POST", variables, { name: "GITHUB_X", value: "" })).status).toBe(422);
  });

  test("forgets an environment's secrets and variables with it", async () => {
    const path = `${REPOSITORY}/environments/production`;
    await github.ask("PUT", path, { wait_timer: 5 });
    await request("POST", `${path}/variables`, { name: "A", value: "1" });
    await request("DELETE", path);
    expect((await request("GET", `${path}/variables`)).status).toBe(404);
    await github.ask("PUT", path, {});
    expect(await github.ask("GET", `${path}/variables`)).toMatchObject({ total_count: 0 });
    expect(await github.ask("GET", path)).toMatchObject({ protection_rules: [] });
  });

  test("lets nothing in an archived repository be changed", async () => {
    await github.ask("PATCH", REPOSITORY, { archived: true });
    const { status, body } = await request("POST", `${REPOSITORY}/labels`, { name: "x" });
    expect([status, body.message]).toEqual([403, "Repository was archived so is read-only."]);
    expect((await request("PATCH", REPOSITORY, { archived: false })).status).toBe(200);
  });

  test("says which name of a repository is taken, as GitHub does", async () => {
    const { status, body } = await request("POST", "/orgs/builders/repos", { name: "buildkit" });
    expect(status).toBe(422);
    expect(body.errors[0].message).toBe("name already exists on this account");
  });

  test("shows a package's visibility, and has no way to set it", async () => {
    github.packages.push({
      owner: "builders",
      name: "buildkit/riscv64",
      visibility: "private",
      repository: "builders/buildkit",
      versions: [{ digest: "sha256:0", tags: ["latest"] }],
    });
    const path = "/orgs/builders/packages/container/buildkit%2Friscv64";
    expect(await github.ask("GET", path)).toMatchObject({ visibility: "private" });
    expect(await github.ask("GET", `${path}/versions`)).toMatchObject([
      { metadata: { container: { tags: ["latest"] } } },
    ]);
    expect((await request("PATCH", path, { visibility: "public" })).status).toBe(501);
  });

  test("deletes a package's versions, but the last", async () => {
    const versions = [
      { digest: "sha256:1", tags: ["latest"] },
      { digest: "sha256:0", tags: [], createdAt: "2026-01-01T00:00:00Z" },
    ];
    github.packages.push({ owner: "builders", name: "image", visibility: "public", versions });
    const path = "/orgs/builders/packages/container/image/versions";
    const [newest, oldest] = (await github.ask("GET", path)) as { readonly id: number }[];
    expect(oldest).toMatchObject({ name: "sha256:0", created_at: "2026-01-01T00:00:00Z" });
    expect((await request("DELETE", `${path}/${oldest?.id}`)).status).toBe(204);
    expect(await github.ask("GET", path)).toMatchObject([{ id: newest?.id }]);
    expect((await request("DELETE", `${path}/${newest?.id}`)).status).toBe(400);
  });
});

describe("requests and answers are held against GitHub's description", () => {
  test("a path that it does not have", async () => {
    const { status, body } = await request("GET", `${REPOSITORY}/nothing`);
    expect(status).toBe(501);
    expect(body.message).toContain("knows no such path");
    expect(github.problems).toHaveLength(1);
  });

  test("a request that does not fit", async () => {
    const path = `${REPOSITORY}/actions/permissions`;
    expect((await request("PUT", path, { enabled: "yes" })).status).toBe(501);
    expect(github.problems[0]).toContain(
      "PUT /repos/{owner}/{repo}/actions/permissions: request body/enabled must be boolean",
    );
  });

  test("an answer that does not fit", async () => {
    const description = await Description.load();
    const operation = description.find("GET", `${REPOSITORY}/actions/secrets/CA`);
    const fits = {
      name: "CA",
      created_at: "2026-01-01T00:00:00Z",
      updated_at: "2026-01-01T00:00:00Z",
    };
    expect(operation?.checkResponse(200, fits)).toBeUndefined();
    expect(operation?.checkResponse(200, { ...fits, updated_at: "yesterday" })).toContain(
      'body/updated_at must match format "date-time"',
    );
    expect(operation?.checkResponse(202, fits)).toBe("status 202 is not described");
  });

  test("the name of a secret is not taken for a public key's", async () => {
    const description = await Description.load();
    const operation = description.find("GET", `${REPOSITORY}/actions/secrets/public-key`);
    expect(operation?.name).toBe("GET /repos/{owner}/{repo}/actions/secrets/public-key");
  });
});

describe("a token", () => {
  test.each([
    [["repo"], "PUT", `${REPOSITORY}/contents/.github/workflows/a.yml`, 404],
    [["repo"], "DELETE", REPOSITORY, 403],
    [["repo"], "GET", "/orgs/builders/actions/secrets", 403],
    [["admin:org"], "PATCH", REPOSITORY, 404],
    [["delete_repo"], "GET", "/orgs/builders/packages/container/x", 403],
  ])("with only %j does not %s %s", async (scopes, method, path, status) => {
    await github.stop();
    github = await startGithub({ organizations: ["builders"], scopes });
    const content = { message: "m", content: "" };
    const { status: answered, headers } = await request(
      method,
      path,
      method === "PUT" ? content : undefined,
    );
    expect(answered).toBe(status);
    expect(headers.get("x-oauth-scopes")).toBe(scopes.join(", "));
  });
});

describe("on demand, GitHub", () => {
  const LABELS = "POST /repos/{owner}/{repo}/labels";
  const label = () => request("POST", `${REPOSITORY}/labels`, { name: "new", color: "ffffff" });

  test("fails, as often as it was told to, and before anything is done", async () => {
    github.faults.add({ operation: LABELS, fault: { kind: "status", status: 500 }, times: 2 });
    expect((await label()).status).toBe(500);
    expect((await label()).status).toBe(500);
    expect((await label()).status).toBe(201);
  });

  test("reports a conflict", async () => {
    github.faults.add({ operation: LABELS, fault: { kind: "status", status: 409 } });
    expect((await label()).status).toBe(409);
  });

  test("has its limit of requests reached", async () => {
    github.faults.add({ fault: { kind: "rate-limit", resetSeconds: 60 } });
    const { status, headers } = await label();
    expect([status, headers.get("x-ratelimit-remaining")]).toEqual([403, "0"]);
    expect(Number(headers.get("x-ratelimit-reset"))).toBeGreaterThan(Date.now() / 1000);
  });

  test("asks for patience", async () => {
    github.faults.add({ fault: { kind: "secondary-rate-limit", retryAfterSeconds: 7 } });
    const { status, headers } = await label();
    expect([status, headers.get("retry-after")]).toEqual([403, "7"]);
  });

  test("loses an answer after the effect", async () => {
    github.faults.add({ operation: LABELS, fault: { kind: "lost-answer" } });
    await expect(label()).rejects.toThrow();
    expect(await github.ask("GET", `${REPOSITORY}/labels/new`)).toMatchObject({ name: "new" });
    expect(github.served.at(-1)).toMatchObject({ operation: LABELS, status: 0 });
  });

  test("opens one pull request for a branch", async () => {
    const { commit } = (await github.ask("GET", `${REPOSITORY}/branches/main`)) as {
      commit: { sha: string };
    };
    await github.ask("POST", `${REPOSITORY}/git/refs`, {
      ref: "refs/heads/next",
      sha: commit.sha,
    });
    const open = () =>
      request("POST", `${REPOSITORY}/pulls`, { title: "Next", head: "next", base: "main" });
    const { body: first } = await open();
    const { status, body } = await open();
    expect([status, body.errors[0].message]).toEqual([
      422,
      "A pull request already exists for builders:next.",
    ]);
    await github.ask("PATCH", `${REPOSITORY}/pulls/${first.number}`, { state: "closed" });
    expect((await open()).status).toBe(201);
    expect(github.problems).toEqual([]);
  });
});
