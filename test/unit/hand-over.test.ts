import { describe, expect, test } from "vitest";
import {
  makeRoom,
  putBack,
  takePreviousAway,
  yieldAtBoot,
} from "../../components/container/handOver.ts";
import {
  checkPlace,
  labelsOf,
  type Place,
  refuseCache,
  refuseMissingInit,
} from "../../components/container/place.ts";
import { FakeDocker, place } from "./fakeDocker.ts";

const labels = labelsOf(place);
const mount = (Name: string) => ({
  Type: "volume",
  Name,
  Source: `/volumes/${Name}`,
  Destination: "/var/lib/buildkit",
});

describe("a host that reboots in the middle of a hand-over", () => {
  const never = new AbortController().signal;

  /** A host whose builder serves, and an update of it up to some request. */
  async function update(restart: string, changes: number): Promise<FakeDocker> {
    const docker = new FakeDocker();
    docker.create({ name: "buildkitd", labels, restart });
    await docker.getContainer("buildkitd").start();
    docker.changesUntilOff = docker.changes.length + changes;
    await handOver(docker, restart).catch((error) => {
      if (error.message !== "the host is gone") throw error;
    });
    return docker;
  }

  /** What hooks and provider do. */
  async function handOver(docker: FakeDocker, restart: string): Promise<void> {
    await makeRoom(docker.client, { ...place, restart });
    docker.create({ name: "buildkitd", labels, restart });
    await docker.getContainer("buildkitd").start();
    await yieldAtBoot(docker.client, place, never);
    await takePreviousAway(docker.client, place);
  }

  test.each(["unless-stopped", "always", "on-failure"])(
    "has exactly one container that serves, wherever it was, with restart: %s",
    async (restart) => {
      const whole = (await update(restart, Number.POSITIVE_INFINITY)).changes.slice(2);
      expect(whole).toEqual([
        "update buildkitd always",
        "rename buildkitd buildkitd-previous",
        "stop buildkitd-previous",
        "create buildkitd",
        "start buildkitd",
        "update buildkitd-previous no",
        "remove buildkitd-previous",
      ]);
      const serving: string[][] = [];
      for (let changes = 0; changes <= whole.length; changes++) {
        const docker = await update(restart, changes);
        docker.boot();
        serving.push(docker.running());
        await handOver(docker, restart);
        expect(docker.containers, `after ${changes}`).toMatchObject([
          { name: "buildkitd", state: "running", restart },
        ]);
      }
      expect(serving.map((names) => names.length)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
      // From the request on that follows its start, the new one does.
      expect(serving.slice(3)).toEqual([
        ["buildkitd-previous"],
        ["buildkitd-previous"],
        [expect.any(String)],
        ["buildkitd"],
        ["buildkitd"],
      ]);
    },
  );

  test("has none where its owner wants none after a boot", async () => {
    const docker = await update("no", 3);
    docker.boot();
    expect(docker.running()).toEqual([]);
    expect(docker.changes.join()).not.toMatch(/update/);
  });

  test.each(["unless-stopped", "always", "on-failure", "no"])(
    "later, has what was put back, with the policy that it had: %s",
    async (restart) => {
      const docker = new FakeDocker();
      docker.create({ name: "buildkitd", labels, restart });
      await docker.getContainer("buildkitd").start();
      // The update changes the policy, too.
      const now = { ...place, restart: restart === "always" ? "no" : "always" };
      const before = await makeRoom(docker.client, now);
      docker.create({ name: "buildkitd", labels, restart: now.restart, health: "unhealthy" });
      await docker.getContainer("buildkitd").start();
      await yieldAtBoot(docker.client, now, never);
      expect(await putBack(docker.client, now, 5, before)).toMatchObject({ previous: "healthy" });
      expect(docker.containers).toMatchObject([{ name: "buildkitd", state: "running", restart }]);
    },
  );

  test("is no longer waited for once the update is over", async () => {
    const docker = new FakeDocker();
    docker.create({ name: "buildkitd-previous", labels, restart: "always" });
    const over = new AbortController();
    const waiting = yieldAtBoot(docker.client, place, over.signal);
    over.abort();
    await waiting;
    expect(docker.containers[0]?.restart).toBe("always");
  });
});

describe("the volume of a cache", () => {
  const host = (volumes: Record<string, Record<string, string>>): FakeDocker => {
    const docker = new FakeDocker();
    for (const [name, of] of Object.entries(volumes)) docker.volumes.set(name, of);
    return docker;
  };
  const adopting = (volume = "lab-cache"): Place => ({
    ...place,
    cache: { ...place.cache, volume, isAdopted: true },
  });

  test.each([
    ["nobody's mark", {}],
    ["another builder's, without a stack", { "buildhosts.builder": "other" }],
  ])("is refused where it has %s: its data may be somebody's", async (_, of) => {
    await expect(refuseCache(host({ "lab-cache": of }).client, place)).rejects.toThrow(
      "lab: the host has a volume 'lab-cache' that this stack did not make, and removeCacheOnDelete would delete it; choose another cacheVolume, or adopt it with adoptCache: true",
    );
  });

  test.each([
    ["not there", {}],
    ["the stack's own", { "lab-cache": labels }],
    ["from before stacks were marked", { "lab-cache": { "buildhosts.builder": "lab" } }],
  ])("is taken where it is %s", async (_, volumes) => {
    await refuseCache(host(volumes).client, place);
  });

  test("is adopted as it is, by those who ask for that", async () => {
    expect(await checkPlace(host({ "lab-cache": {} }).client, adopting())).toBeUndefined();
    expect(await checkPlace(host({}).client, adopting("/mnt/nvme/cache"))).toBeUndefined();
  });

  test("is not adopted where there is none, or it is another stack's", async () => {
    await expect(checkPlace(host({}).client, adopting())).rejects.toThrow(
      "lab: adoptCache is true, and the host has no volume 'lab-cache'; correct cacheVolume, or remove adoptCache, and the update makes it",
    );
    const foreign = host({ "lab-cache": { ...labels, "buildhosts.stack": "buildhosts/other" } });
    await expect(checkPlace(foreign.client, adopting())).rejects.toThrow(
      "lab: the host's volume 'lab-cache' has the cache of the stack buildhosts/other; choose another cacheVolume, or, if that stack does not exist any more, remove it there (docker volume rm lab-cache)",
    );
  });

  test("does not change while removeCacheOnDelete would delete the old one", async () => {
    const docker = host({});
    docker.create({ name: "buildkitd", labels, mounts: [mount("old-cache")] });
    const removed = { ...place, cache: { ...place.cache, isRemoved: true } };
    await expect(refuseCache(docker.client, removed)).rejects.toThrow(
      "lab: cacheVolume changes from 'old-cache' to 'lab-cache', and removeCacheOnDelete would delete the old one with what is in it; set removeCacheOnDelete: false, run the update, and change cacheVolume then",
    );
  });

  test("or its folder is not given to a daemon that cannot use what is in it", async () => {
    const docker = host({});
    const folder = { Type: "bind", Source: "/mnt/cache", Destination: "/var/lib/buildkit" };
    docker.create({ name: "buildkitd", labels, mounts: [folder] });
    const rootless = adopting("/mnt/cache");
    rootless.cache.path = "/home/user/.local/share/buildkit";
    await expect(checkPlace(docker.client, rootless)).rejects.toThrow(
      "lab: the folder '/mnt/cache' has the cache of the daemon with root, whose files one without root cannot use; name another cachePath beside the changed rootless",
    );
  });
});

test("a host without docker-init is told before anything is touched", async () => {
  const docker = new FakeDocker();
  docker.initCommit = { ID: "N/A" };
  await expect(refuseMissingInit(docker.client, "lab")).rejects.toThrow(
    "lab: init is true, and the host's Docker has no docker-init; install it there (tini, as docker-init in the daemon's PATH; Docker's own packages bring it), or set init: false",
  );
  // Debian's tini says no commit; Podman has an init of its own.
  for (const commit of [{ ID: "de40ad0" }, { ID: "" }, undefined]) {
    docker.initCommit = commit;
    await refuseMissingInit(docker.client, "lab");
  }
});
