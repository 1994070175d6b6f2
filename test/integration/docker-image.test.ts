// The image of ours, from its Dockerfile to builders that run it: made by a builder of a stack on a Docker host,
// pushed to a registry, run from there by its digest, with root and without. riscv64.test.ts does so on riscv64.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { architectures } from "../../proving-ground/board/architectures.ts";
import { suite } from "../../proving-ground/board/image.ts";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { boardMachine, boardPlatform, machines } from "./boardPlatform.ts";
import { cachedSteps, clientOf, dockerfile } from "./building.ts";
import type { Run } from "./ground.ts";
import { on } from "./onBoard.ts";
import { type ImageBuilder, type ImageGround, imageGround } from "./ownImages.ts";

let ground: ImageGround;
let host: ImageGround["host"];
let stack: ImageGround["stack"];
/** Our images in the registry, each by its digest. */
const images = { root: "", rootless: "" };

beforeAll(async () => {
  ground = await imageGround(boardPlatform);
  ({ host, stack } = ground);
});
afterAll(() => ground?.close());

const configure = (...builders: ImageBuilder[]) =>
  ground.configure(builders, {
    emulation: [ground.emulated],
    emulationImage: ground.images.emulation,
  });

/** Of our image, with a network and proxies for build steps. */
const owner = (): ImageBuilder => ({
  name: "owner",
  port: 1235,
  image: images.root,
  network: "bridge",
  proxies: { http: "http://proxy.example.com:3128", no: ["registry.example.com", ".lan"] },
});
const rootless = (): ImageBuilder => ({
  name: "rootless",
  port: 1236,
  image: images.rootless,
  rootless: true,
});

const ok = ({ code, output }: Run) => expect(code, output).toBe(0);
const statuses = () => on(host, "docker ps --format '{{.Names}} {{.Status}}' | sort");
const allHealthy = /^maker Up .* \(healthy\)\nowner Up .* \(healthy\)\nrootless Up .* \(healthy\)$/;

/** Each test begins where the one before it ended. */
describe("a Docker host", () => {
  test("that is reached over tcp:// and TLS gets, from nothing, a builder in a network of its own", async () => {
    await configure(ground.maker());
    ok(await stack.up());
    expect(await statuses()).toMatch(/^maker Up .* \(healthy\)$/);
    const networks = "docker inspect --format '{{json .NetworkSettings.Networks}}' maker";
    expect(Object.keys(JSON.parse(await on(host, networks)))).toEqual(["builders"]);
  });

  test("emulates another platform: its builder offers it, and runs a step of it", async () => {
    const { builders } = await stack.outputs();
    expect(builders).toMatchObject([{ platforms: [boardPlatform, ground.emulated] }]);
    const architecture = architectures[ground.emulated].debian;
    const debian = { suite, architecture, names: ["busybox-static"] };
    const busybox = join(await ensureUnpacked(debian, log), "usr/bin/busybox");
    const client = await clientOf(stack);
    const build = await client.build({ platform: ground.emulated, busybox });
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${machines[ground.emulated]}\n`);
  });
});

describe("the image of ours", () => {
  test("is built by that builder and pushed, for root and for rootless builders", async () => {
    images.root = await log.step("build our image", () => ground.build("buildkit"));
    images.rootless = await log.step("build our rootless image", () => ground.build("rootless"));
  });

  test("runs by its digest, healthy, beside the builder that made it", async () => {
    await configure(ground.maker(), owner(), rootless());
    const up = await stack.up();
    ok(up);
    expect(up.changes.replace ?? []).toEqual([]);
    expect(await statuses()).toMatch(allHealthy);
    const format = "'{{index .Config.Labels \"org.opencontainers.image.source\"}}'";
    for (const [name, reference] of [
      ["owner", images.root],
      ["rootless", images.rootless],
    ] as const) {
      const digest = reference.split("@")[1];
      const id = await on(host, `docker inspect --format '{{.Image}}' ${name}`);
      expect(
        await on(host, `docker image inspect --format '{{join .RepoDigests " "}}' ${id}`),
      ).toContain(`@${digest}`);
      expect(await on(host, `docker inspect --format ${format} ${name}`)).toBe(
        "https://github.com/example/buildkit",
      );
      const runc = "command -v buildkit-runc || command -v runc";
      expect(await on(host, `docker exec ${name} sh -c '${runc}'`)).toMatch(
        name === "owner" ? /^\/usr\/s?bin\/runc$/ : /\/buildkit-runc$/,
      );
      expect(await on(host, `docker exec ${name} cat /proc/1/comm`)).toBe("tini");
      expect(await on(host, `docker exec ${name} readlink /sbin/docker-init`)).toBe(
        "/usr/bin/tini",
      );
    }
  });

  test("runs build steps, in a network of their own, with a cache of its builder alone", async () => {
    const client = await clientOf(stack, "default", "owner");
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
    const network = await client.build({
      dockerfile: dockerfile("network"),
      buildArgs: {
        OUTSIDE: `${host.connection.gateway}:${ground.registry.port}`,
        DAEMON: "10.10.0.1:1234",
      },
    });
    expect(network.code, network.output).toBe(0);
    expect(await network.file("addresses")).toMatch(/ eth0 +inet 10\.10\.\d+\.\d+\/16 /);
    expect(await network.file("outside")).toBe("reached\n");
    const environment = (await network.file("environment")).split("\n");
    expect(environment.filter((line) => /proxy/i.test(line)).sort()).toEqual([
      "HTTP_PROXY=http://proxy.example.com:3128",
      "NO_PROXY=registry.example.com,.lan",
      "http_proxy=http://proxy.example.com:3128",
      "no_proxy=registry.example.com,.lan",
    ]);
  });

  test("runs build steps without root, in a container without privileges", async () => {
    const { Privileged, CapAdd, SecurityOpt, MaskedPaths, ReadonlyPaths } = JSON.parse(
      await on(host, "docker inspect --format '{{json .HostConfig}}' rootless"),
    );
    // The provider has them in a set, in an order of its own.
    const options = { SecurityOpt: SecurityOpt.sort(), MaskedPaths, ReadonlyPaths };
    expect({ Privileged, CapAdd: CapAdd ?? [], ...options }).toEqual({
      Privileged: false,
      CapAdd: [],
      SecurityOpt: ["apparmor=unconfined", "seccomp=unconfined"],
      // What the docker command and the provider make of systempaths=unconfined.
      MaskedPaths: [],
      ReadonlyPaths: [],
    });
    const user = "stat --format %u $(dirname $(grep -l ^buildkitd$ /proc/[0-9]*/comm))";
    expect(await on(host, `docker exec rootless sh -c '${user}'`)).toMatch(/^(1000\n?)+$/);
    const client = await clientOf(stack, "default", "rootless");
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("is left alone by a refresh and a second update", async () => {
    const up = await stack.up("--refresh");
    ok(up);
    expect(Object.keys(up.changes).sort(), up.output).toEqual(["refresh", "same"]);
  });
});
