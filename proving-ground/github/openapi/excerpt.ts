// Writes description.json anew: what GitHub's published OpenAPI description says of the endpoints below.
//
// The description is published as @octokit/openapi, whose 400 MB are too much for a dependency, so it
// is downloaded for this once: `node proving-ground/github/openapi/excerpt.ts`. Prose and examples are
// left out, and `nullable` becomes what JSON Schema has for it. Its license comes along.

import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Excerpt, OperationDescription } from "./description.ts";

const PACKAGE = "@octokit/openapi@23.0.2";

/** Paths as the description has them; every method that it knows there is taken. */
const PATHS = [
  "/meta",
  "/rate_limit",
  "/user",
  "/user/repos",
  "/user/packages/{package_type}/{package_name}",
  "/user/packages/{package_type}/{package_name}/versions",
  "/users/{username}",
  "/users/{username}/packages/{package_type}/{package_name}",
  "/users/{username}/packages/{package_type}/{package_name}/versions",
  "/users/{username}/packages/{package_type}/{package_name}/versions/{package_version_id}",
  "/orgs/{org}",
  "/orgs/{org}/repos",
  "/orgs/{org}/packages/{package_type}/{package_name}",
  "/orgs/{org}/packages/{package_type}/{package_name}/versions",
  "/orgs/{org}/packages/{package_type}/{package_name}/versions/{package_version_id}",
  "/orgs/{org}/actions/secrets",
  "/orgs/{org}/actions/secrets/public-key",
  "/orgs/{org}/actions/secrets/{secret_name}",
  "/orgs/{org}/actions/secrets/{secret_name}/repositories",
  "/orgs/{org}/actions/variables",
  "/orgs/{org}/actions/variables/{name}",
  "/orgs/{org}/actions/variables/{name}/repositories",
  "/repos/{owner}/{repo}",
  "/repos/{owner}/{repo}/topics",
  "/repos/{owner}/{repo}/vulnerability-alerts",
  "/repos/{owner}/{repo}/automated-security-fixes",
  "/repos/{owner}/{repo}/private-vulnerability-reporting",
  "/repos/{owner}/{repo}/branches",
  "/repos/{owner}/{repo}/branches/{branch}",
  "/repos/{owner}/{repo}/branches/{branch}/rename",
  "/repos/{owner}/{repo}/git/ref/{ref}",
  "/repos/{owner}/{repo}/git/refs",
  "/repos/{owner}/{repo}/git/refs/{ref}",
  "/repos/{owner}/{repo}/git/matching-refs/{ref}",
  "/repos/{owner}/{repo}/git/blobs",
  "/repos/{owner}/{repo}/git/blobs/{file_sha}",
  "/repos/{owner}/{repo}/git/trees",
  "/repos/{owner}/{repo}/git/trees/{tree_sha}",
  "/repos/{owner}/{repo}/git/commits",
  "/repos/{owner}/{repo}/git/commits/{commit_sha}",
  "/repos/{owner}/{repo}/commits",
  "/repos/{owner}/{repo}/commits/{ref}",
  "/repos/{owner}/{repo}/contents/{path}",
  "/repos/{owner}/{repo}/issues",
  "/repos/{owner}/{repo}/issues/{issue_number}",
  "/repos/{owner}/{repo}/issues/{issue_number}/comments",
  "/repos/{owner}/{repo}/issues/{issue_number}/labels",
  "/repos/{owner}/{repo}/issues/comments/{comment_id}",
  "/repos/{owner}/{repo}/labels",
  "/repos/{owner}/{repo}/labels/{name}",
  "/repos/{owner}/{repo}/pulls",
  "/repos/{owner}/{repo}/pulls/{pull_number}",
  "/repos/{owner}/{repo}/pulls/{pull_number}/files",
  "/repos/{owner}/{repo}/pulls/{pull_number}/merge",
  "/repos/{owner}/{repo}/releases",
  "/repos/{owner}/{repo}/releases/latest",
  "/repos/{owner}/{repo}/releases/tags/{tag}",
  "/repos/{owner}/{repo}/releases/{release_id}",
  "/repos/{owner}/{repo}/releases/{release_id}/assets",
  "/repos/{owner}/{repo}/releases/assets/{asset_id}",
  "/repos/{owner}/{repo}/rulesets",
  "/repos/{owner}/{repo}/rulesets/{ruleset_id}",
  "/repos/{owner}/{repo}/environments",
  "/repos/{owner}/{repo}/environments/{environment_name}",
  "/repos/{owner}/{repo}/environments/{environment_name}/deployment-branch-policies",
  "/repos/{owner}/{repo}/environments/{environment_name}/deployment-branch-policies/{branch_policy_id}",
  "/repos/{owner}/{repo}/environments/{environment_name}/secrets",
  "/repos/{owner}/{repo}/environments/{environment_name}/secrets/public-key",
  "/repos/{owner}/{repo}/environments/{environment_name}/secrets/{secret_name}",
  "/repos/{owner}/{repo}/environments/{environment_name}/variables",
  "/repos/{owner}/{repo}/environments/{environment_name}/variables/{name}",
  "/repos/{owner}/{repo}/actions/permissions",
  "/repos/{owner}/{repo}/actions/permissions/access",
  "/repos/{owner}/{repo}/actions/permissions/fork-pr-contributor-approval",
  "/repos/{owner}/{repo}/actions/permissions/selected-actions",
  "/repos/{owner}/{repo}/actions/permissions/workflow",
  "/repos/{owner}/{repo}/actions/secrets",
  "/repos/{owner}/{repo}/actions/secrets/public-key",
  "/repos/{owner}/{repo}/actions/secrets/{secret_name}",
  "/repos/{owner}/{repo}/actions/variables",
  "/repos/{owner}/{repo}/actions/variables/{name}",
  "/repos/{owner}/{repo}/actions/workflows",
  "/repos/{owner}/{repo}/actions/workflows/{workflow_id}",
  "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches",
  "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/enable",
  "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs",
  "/repos/{owner}/{repo}/actions/runs",
  "/repos/{owner}/{repo}/actions/runs/{run_id}",
];

/** Operations there that this GitHub does not have: as good as unknown. */
const NOT_SERVED = [
  "GET /users/{username}/packages/{package_type}/{package_name}/versions/{package_version_id}",
  "GET /orgs/{org}/packages/{package_type}/{package_name}/versions/{package_version_id}",
  "DELETE /users/{username}/packages/{package_type}/{package_name}",
  "DELETE /orgs/{org}/packages/{package_type}/{package_name}",
  "DELETE /user/packages/{package_type}/{package_name}",
  "GET /orgs/{org}/repos",
  "DELETE /orgs/{org}",
  "PATCH /orgs/{org}",
];

/** Keywords of OpenAPI that say nothing about whether a body fits. */
const PROSE = new Set([
  "description",
  "title",
  "example",
  "examples",
  "externalDocs",
  "deprecated",
  "discriminator",
  "readOnly",
  "default",
]);

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type JsonObject = { [name: string]: Json };

/** A schema without prose; `references` collects the names of the schemas that it refers to. */
function schemaOf(schema: Json, references: Set<string>): Json {
  if (Array.isArray(schema)) return schema.map((inner) => schemaOf(inner, references));
  if (typeof schema !== "object" || schema === null) return schema;
  const kept: JsonObject = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (PROSE.has(keyword) || keyword.startsWith("x-") || keyword === "nullable") continue;
    if (keyword === "$ref") {
      const name = String(value).replace("#/components/schemas/", "");
      references.add(name);
      kept.$ref = `#/schemas/${name}`;
    } else if (keyword === "properties") {
      // Here the names are properties, not keywords.
      kept.properties = Object.fromEntries(
        Object.entries(value as JsonObject).map(([name, inner]) => [
          name,
          schemaOf(inner, references),
        ]),
      );
    } else if (keyword === "enum" || keyword === "required") kept[keyword] = value;
    else kept[keyword] = schemaOf(value, references);
  }
  return schema.nullable === true ? { anyOf: [kept, { type: "null" }] } : kept;
}

const folder = await mkdtemp(join(tmpdir(), "openapi-"));
try {
  await execa("npm", ["pack", PACKAGE, "--silent", `--pack-destination=${folder}`]);
  const file = "package/generated/api.github.com.json";
  await execa("sh", ["-c", `tar xzf *.tgz ${file} package/LICENSE`], { cwd: folder });
  const whole = JSON.parse(await readFile(join(folder, file), "utf8"));

  const references = new Set<string>();
  const resolve = (value: JsonObject): JsonObject =>
    typeof value.$ref === "string"
      ? value.$ref
          .slice(2)
          .split("/")
          .reduce((at, name) => at[name] as JsonObject, whole as JsonObject)
      : value;
  const jsonOf = (body: JsonObject): Json | undefined => {
    const content = (resolve(body).content ?? {}) as { [type: string]: JsonObject };
    const type = Object.keys(content).find((name) => /[/+]json$/.test(name));
    return type === undefined ? undefined : content[type]?.schema;
  };

  const paths: { [path: string]: { [method: string]: OperationDescription } } = {};
  for (const path of PATHS) {
    const described = whole.paths[path] as JsonObject | undefined;
    if (described === undefined) throw new Error(`${PACKAGE} does not describe ${path}`);
    const operations: { [method: string]: OperationDescription } = {};
    for (const [method, operation] of Object.entries(described)) {
      if (NOT_SERVED.includes(`${method.toUpperCase()} ${path}`)) continue;
      if (!["get", "post", "put", "patch", "delete"].includes(method)) continue;
      const { requestBody, responses } = operation as { [name: string]: JsonObject };
      const request = requestBody === undefined ? undefined : jsonOf(requestBody);
      operations[method] = {
        ...(request !== undefined && {
          request: {
            required: resolve(requestBody ?? {}).required === true,
            schema: schemaOf(request, references) as object,
          },
        }),
        responses: Object.fromEntries(
          Object.entries(responses ?? {}).map(([status, response]) => {
            const schema = jsonOf(response as JsonObject);
            return [status, schema === undefined ? null : (schemaOf(schema, references) as object)];
          }),
        ),
      };
    }
    paths[path] = operations;
  }
  const schemas: { [name: string]: object } = {};
  for (const name of references) {
    // A set that grows while it is walked is walked to its end.
    schemas[name] = schemaOf(whole.components.schemas[name], references) as object;
  }
  const excerpt: Excerpt = { source: PACKAGE, license: whole.info.license.name, paths, schemas };
  await writeFile(join(import.meta.dirname, "description.json"), `${JSON.stringify(excerpt)}\n`);
  await copyFile(join(folder, "package/LICENSE"), join(import.meta.dirname, "LICENSE"));
} finally {
  await rm(folder, { recursive: true });
}
