import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runScript } from "./runScript.ts";

let folder: string;
const opened: { close(): unknown }[] = [];
let pem: Record<"ca" | "server" | "client" | "otherClient", { cert: string; key: string }>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "buildhosts-builders-"));
  const authority = async (name: string) =>
    certificate(name, ["basicConstraints=critical,CA:TRUE"]);
  const ca = await authority("ca");
  await authority("other");
  pem = {
    ca,
    server: await certificate(
      "server",
      ["subjectAltName=IP:127.0.0.1,DNS:*.pool.example.com", "extendedKeyUsage=serverAuth"],
      "ca",
    ),
    client: await certificate("client", ["extendedKeyUsage=clientAuth"], "ca"),
    otherClient: await certificate("otherClient", ["extendedKeyUsage=clientAuth"], "other"),
  };
});
afterAll(async () => {
  for (const server of opened) server.close();
  await rm(folder, { recursive: true, force: true });
});

async function certificate(name: string, extensions: string[], issuer?: string) {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  await execa("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-subj", `/CN=${name}`, "-days", "2", "-out", cert, "-keyout", key],
    ...extensions.flatMap((one) => ["-addext", one]),
    ...(issuer
      ? ["-CA", join(folder, `${issuer}.pem`), "-CAkey", join(folder, `${issuer}.key`)]
      : []),
  ]);
  return { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") };
}

async function listening(server: Http2SecureServer | Server): Promise<string> {
  opened.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers as a builder does: mutual TLS, and a health service that says `status` (1 is SERVING). */
function builder(status = 1): Promise<string> {
  const server = createSecureServer({
    ...pem.server,
    ca: pem.ca.cert,
    requestCert: true,
    rejectUnauthorized: true,
  });
  server.on("stream", (stream, headers) => {
    if (headers[":path"] !== "/grpc.health.v1.Health/Check") return stream.close();
    // Only when the whole request is here: an answer before that resets the stream, which no daemon does.
    stream.resume().once("end", () => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
    });
  });
  return listening(server);
}

/** A port where nothing listens any more. */
async function dead(): Promise<string> {
  const server = createServer();
  const endpoint = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return endpoint;
}

/** Takes connections and never says a word, as a board does whose daemon hangs. */
function silent(): Promise<string> {
  return listening(createServer(() => {}));
}

const node = (name: string, endpoint: string, ...platforms: string[]) => ({
  name,
  endpoint,
  platforms,
});

function select(nodes: unknown, env: Record<string, string> = {}) {
  return runScript("select-builders.sh", {
    NODES: typeof nodes === "string" ? nodes : JSON.stringify(nodes),
    CACERT: pem.ca.cert,
    CERT: pem.client.cert,
    KEY: pem.client.key,
    PROJECT: "Owner/My_Images",
    PLATFORMS: "",
    MISSING_PLATFORMS: "fail",
    MAX_NODES: "10",
    ANSWER_SECONDS: "8",
    ...env,
  });
}

describe("select-builders.sh", () => {
  test("leaves out a dead builder, and the build goes on with those that answer", async () => {
    const [first, gone, last] = [await builder(), await dead(), await builder()];
    const { code, log, outputs, summary } = await select(
      [
        node("gone", gone, "linux/arm64"),
        node("a", first, "linux/riscv64"),
        node("b", last, "linux/amd64", "linux/386"),
      ],
      { PLATFORMS: "linux/riscv64,linux/386" },
    );
    expect(log).toContain("::warning::builder gone is left out: curl: (7)");
    expect(code).toBe(0);
    expect(outputs).toEqual({
      endpoint: first,
      "driver-opts": "",
      "node-platforms": "linux/riscv64",
      append: JSON.stringify([{ name: "b", endpoint: last, platforms: "linux/amd64,linux/386" }]),
      platforms: "linux/riscv64,linux/386",
    });
    expect(summary).toContain("| gone | linux/arm64 | left out: ");
    expect(summary).toContain("| a | linux/riscv64 | answers |");
  });

  test("asks a pool by the project's name in it, and so do the builds", async () => {
    const [first, second] = [await builder(), await builder()];
    const pool = (name: string, endpoint: string, domain = "pool.example.com") => ({
      ...node(name, endpoint, "linux/riscv64"),
      domain,
    });
    const nodes = [pool("a", first), pool("b", second), pool("other", second, "other.example.com")];
    const { code, log, outputs } = await select(nodes);
    expect(code, log).toBe(0);
    expect(log).toMatch(/::warning::builder other is left out: curl: \(60\)/);
    expect(outputs).toEqual({
      endpoint: first,
      "driver-opts": "servername=owner-my-images.pool.example.com",
      "node-platforms": "linux/riscv64",
      append: JSON.stringify([
        {
          ...{ name: "b", endpoint: second, platforms: "linux/riscv64" },
          "driver-opts": ["servername=owner-my-images.pool.example.com"],
        },
      ]),
      platforms: "linux/riscv64",
    });
  });

  test("leaves out one that hangs, one that serves nothing, and one that is something else", async () => {
    const plain = createSecureServer({ ...pem.server, allowHTTP1: true }, (request, response) =>
      request.resume().once("end", () => response.end("hello")),
    );
    const { code, log } = await select([
      node("alive", await builder(), "linux/riscv64"),
      node("hangs", await silent(), "linux/riscv64"),
      node("unhealthy", await builder(2), "linux/riscv64"),
      node("website", await listening(plain), "linux/riscv64"),
    ]);
    expect(log).toMatch(/hangs is left out: curl: \(28\)/);
    expect(log).toContain("unhealthy is left out: it is up, but says that it serves nothing");
    expect(log).toContain("website is left out: something else than buildkitd answers there");
    expect(code).toBe(0);
  }, 60_000);

  test("does not take a handshake for an answer: a client of another CA is refused", async () => {
    const { code, log } = await select([node("a", await builder(), "linux/riscv64")], {
      CERT: pem.otherClient.cert,
      KEY: pem.otherClient.key,
    });
    expect(log).toContain("builder a is left out: curl: (");
    expect(log).toContain("::error::none of the 1 builders answers");
    expect(code).toBe(1);
    expect(log).not.toContain("PRIVATE KEY");
  });

  test("fails for a platform that only a dead builder has, or skips it where that is allowed", async () => {
    const nodes = [
      node("a", await builder(), "linux/riscv64"),
      node("gone", await dead(), "linux/arm64"),
    ];
    const env = { PLATFORMS: "linux/riscv64,linux/arm64" };
    const failed = await select(nodes, env);
    expect(failed.log).toContain(
      "::error::no builder that answers offers linux/arm64: bring one back, or set missing-platforms: skip",
    );
    expect(failed.code).toBe(1);
    const skipped = await select(nodes, { ...env, MISSING_PLATFORMS: "skip" });
    expect(skipped.log).toContain("::warning::linux/arm64 is skipped");
    expect(skipped.outputs.platforms).toBe("linux/riscv64");
    const none = await select(nodes, { PLATFORMS: "linux/arm64", MISSING_PLATFORMS: "skip" });
    expect(none.log).toContain("::error::no builder that answers offers any of linux/arm64");
  });

  test("builds for no other platform than always when the first builder is dead", async () => {
    const nodes = [
      node("gone", await dead(), "linux/arm64"),
      node("a", await builder(), "linux/riscv64"),
    ];
    const { code, log } = await select(nodes);
    expect(log).toContain("::error::no builder that answers offers linux/arm64");
    expect(code).toBe(1);
    const other = await select([...nodes, node("b", await builder(), "linux/arm64")]);
    expect(other.outputs.platforms).toBe("linux/arm64");
  });

  test.each<[string, unknown, Record<string, string>, string]>([
    ["no builders", "", {}, "the variable BUILDER_NODES is empty here"],
    ["what is no list", "{}", {}, "the builders are no list like"],
    ["what is no JSON", "[", {}, "the builders are no list like"],
    [
      "an endpoint of another kind",
      [node("a", "unix:///run/x", "linux/riscv64")],
      {},
      "no list like",
    ],
    [
      "more builders than the build can log in to",
      [node("a", "tcp://a:1", "x"), node("b", "tcp://b:1", "x")],
      { MAX_NODES: "1" },
      "there are 2 builders, and this workflow knows 1",
    ],
    [
      "no secrets, as in a pull request of a fork",
      [node("a", "tcp://a:1", "x")],
      { KEY: "" },
      "the secret BUILDER_AUTH_TLS_KEY is empty here",
    ],
  ])("says in one line what is wrong with %s", async (_, nodes, env, message) => {
    const { code, log } = await select(nodes, env);
    expect(log.trim().split("\n")).toEqual([expect.stringContaining(message)]);
    expect(log).toMatch(/^::error::/);
    expect(code).toBe(1);
  });
});

describe("choose-cache.sh", () => {
  const choose = (env: Record<string, string>) =>
    runScript("choose-cache.sh", {
      CACHE_MODE: "max",
      CACHE_OPTIONS: "",
      PUSH: "true",
      IMAGE: "ghcr.io/example/image",
      TAGS: "v1 latest",
      SCOPE: "scope",
      RUNNER_TOOL_CACHE: "/tools",
      ...env,
    });

  test.each([
    ["none", "", "", ""],
    ["inline", "", "type=registry,ref=ghcr.io/example/image:v1", "type=inline"],
    [
      "inline",
      "ref=ghcr.io/example/image:edge",
      "type=registry,ref=ghcr.io/example/image:edge",
      "type=inline",
    ],
    [
      "registry",
      "",
      "type=registry,ref=ghcr.io/example/image:buildcache-scope",
      "type=registry,ref=ghcr.io/example/image:buildcache-scope,mode=max",
    ],
    [
      "registry",
      "ref=ghcr.io/example/cache",
      "type=registry,ref=ghcr.io/example/cache",
      "type=registry,ref=ghcr.io/example/cache,mode=max",
    ],
    ["gha", "", "type=gha,scope=scope", "type=gha,scope=scope,mode=max"],
    [
      "s3",
      "region=eu-central-1,bucket=cache",
      "type=s3,name=scope,region=eu-central-1,bucket=cache",
      "type=s3,name=scope,region=eu-central-1,bucket=cache,mode=max",
    ],
    [
      "azblob",
      "account_url=https://a.blob.core.windows.net",
      "type=azblob,name=scope,account_url=https://a.blob.core.windows.net",
      "type=azblob,name=scope,account_url=https://a.blob.core.windows.net,mode=max",
    ],
    [
      "local",
      "",
      "type=local,src=/tools/buildhosts/scope",
      "type=local,dest=/tools/buildhosts/scope.new,mode=max",
    ],
  ])("%s with %j", async (CACHE, CACHE_OPTIONS, from, to) => {
    const { log, outputs } = await choose({ CACHE, CACHE_OPTIONS });
    expect(log).toBe("");
    expect(outputs).toEqual({ from, to });
  });

  test("registry without a push is read, and not written", async () => {
    const { outputs } = await choose({ CACHE: "registry", PUSH: "false" });
    expect(outputs).toEqual({
      from: "type=registry,ref=ghcr.io/example/image:buildcache-scope",
      to: "",
    });
  });

  test.each([
    [{ CACHE: "redis" }, "input cache is 'redis'; it is one of registry, gha, s3"],
    [{ CACHE: "gha", CACHE_MODE: "all" }, "input cache-mode is 'all'; it is max or min"],
    [{ CACHE: "s3" }, "the s3 cache needs cache-options: region=…,bucket=…"],
    [{ CACHE: "azblob" }, "the azblob cache needs cache-options: account_url="],
    [{ CACHE: "registry", IMAGE: "" }, "the registry cache needs the input image"],
    [{ CACHE: "gha", CACHE_OPTIONS: "scope" }, "not of the form key=value"],
    [{ CACHE: "s3", CACHE_OPTIONS: "a=b\nto=x" }, "not of the form key=value"],
    [
      { CACHE: "s3", CACHE_OPTIONS: "region=a,secret_access_key=hunter2" },
      "names secret_access_key: credentials are not taken there",
    ],
  ])("refuses %j", async (env, message) => {
    const { code, log, outputs } = await choose(env);
    expect(log).toContain(message);
    expect(log).not.toContain("hunter2");
    expect(code).toBe(1);
    expect(outputs).toEqual({});
  });
});

describe("name-image.sh", () => {
  test.each([
    ["ghcr.io/example/image", "latest v1.2.3", "ghcr.io", "ghcr-io-example-image"],
    ["localhost:5000/image", "latest v1.2.3", "localhost:5000", "localhost-5000-image"],
    ["library/debian", "latest v1.2.3", "docker.io", "library-debian"],
  ])("%s", async (IMAGE, TAGS, registry, scope) => {
    const { log, outputs } = await runScript("name-image.sh", { IMAGE, TAGS });
    expect(log).toBe("");
    expect(outputs).toEqual({ registry, scope, tags: `${IMAGE}:latest\n${IMAGE}:v1.2.3` });
  });

  test.each([
    ["ghcr.io/Example/image", "latest", "input image is 'ghcr.io/Example/image'"],
    ["ghcr.io/example/image:v1", "latest", "without a tag"],
    ["ghcr.io/example/image", "", "input tags is empty"],
    ["ghcr.io/example/image", "a:b", "input tags has 'a:b', which is no tag"],
  ])("refuses %j with the tags %j", async (IMAGE, TAGS, message) => {
    const { code, log } = await runScript("name-image.sh", { IMAGE, TAGS });
    expect(log).toContain(message);
    expect(code).toBe(1);
  });
});
