import { Readable } from "node:stream";
import type Docker from "dockerode";
import type { Place } from "../../components/container/place.ts";

/** A builder's place on the fake daemon. */
export const place: Place = {
  container: "buildkitd",
  builder: "lab",
  stack: "buildhosts/test",
  publish: { address: "0.0.0.0", port: 1234 },
  cache: { volume: "lab-cache", path: "/var/lib/buildkit", isRemoved: false },
};

/** A container of the fake daemon. */
export interface FakeContainer {
  id: string;
  name: string;
  labels: Record<string, string>;
  port: number;
  restart: string;
  state: "created" | "running" | "exited";
  health: string;
  /** Whether a user's stop was the last that happened to it. */
  wasStopped: boolean;
  mounts: { Type: string; Name?: string; Source: string; Destination: string }[];
}

/** As Docker puts what a command says on its stream. */
function frame(text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

const answer = (statusCode: number, message: string) =>
  Object.assign(new Error(message), { statusCode });

/**
 * What of a Docker daemon the hand-over asks, with what its restart policies make of a boot: `always` starts what
 * ever ran, `unless-stopped` that but for what was stopped, `on-failure` what the boot has torn down. One whose port
 * is taken does not start.
 */
export class FakeDocker {
  readonly containers: FakeContainer[] = [];
  readonly volumes = new Map<string, Record<string, string>>();
  /** Requests that change something, in order. */
  readonly changes: string[] = [];
  /** So many of them are served; at the next one the host is gone. */
  changesUntilOff = Number.POSITIVE_INFINITY;
  /** What `docker info` says of docker-init. */
  initCommit: { ID: string } | undefined = { ID: "de40ad0" };
  /** How a command in a container ends, and what it says. */
  command: { ExitCode: number; said: string } = { ExitCode: 0, said: "" };
  /** The commands that were run in containers. */
  readonly commands: string[][] = [];
  #made = 0;

  /** As the parts under test see it. */
  get client(): Docker {
    return this as unknown as Docker;
  }

  /** Creates a container, as the provider does. */
  create(of: Partial<FakeContainer> & Pick<FakeContainer, "name" | "labels">): FakeContainer {
    this.#change(`create ${of.name}`);
    if (this.containers.some(({ name }) => name === of.name)) throw answer(409, "name in use");
    const made: FakeContainer = {
      id: `id-${++this.#made}`,
      port: 1234,
      restart: "unless-stopped",
      state: "created",
      health: "healthy",
      wasStopped: false,
      mounts: [],
      ...of,
    };
    this.containers.push(made);
    return made;
  }

  boot(): void {
    this.changesUntilOff = Number.POSITIVE_INFINITY;
    const wanted = this.containers.filter(({ state, restart, wasStopped }) => {
      if (state === "created") return false;
      if (restart === "always") return true;
      if (restart === "unless-stopped") return !wasStopped;
      return restart === "on-failure" && state === "running";
    });
    for (const one of this.containers) if (one.state === "running") one.state = "exited";
    for (const one of wanted) if (!this.#hasPort(one)) one.state = "running";
  }

  running(): string[] {
    return this.containers.filter(({ state }) => state === "running").map(({ name }) => name);
  }

  async listContainers(): Promise<unknown[]> {
    return this.containers.map(({ id, name, labels, state, port }, index) => ({
      Id: id,
      Names: [`/${name}`],
      Labels: labels,
      State: state,
      Created: index,
      Ports: state === "running" ? [{ IP: "0.0.0.0", PublicPort: port }] : [],
    }));
  }

  getVolume(name: string) {
    return {
      inspect: async () => {
        const Labels = this.volumes.get(name);
        if (!Labels) throw answer(404, "no such volume");
        return { Name: name, Labels };
      },
    };
  }

  async info(): Promise<object> {
    return { InitBinary: "docker-init", InitCommit: this.initCommit };
  }

  getContainer(key: string) {
    const found = () => {
      const one = this.containers.find(({ id, name }) => id === key || name === key);
      if (!one) throw answer(404, "no such container");
      return one;
    };
    return {
      inspect: async () => {
        const { id, name, state, restart, health, mounts } = found();
        return {
          Id: id,
          Name: `/${name}`,
          State: {
            Running: state === "running",
            Status: state,
            StartedAt: state === "created" ? "0001-01-01T00:00:00Z" : "2026-01-01T00:00:00Z",
            Health: { Status: health },
          },
          HostConfig: { RestartPolicy: { Name: restart } },
          Mounts: mounts,
        };
      },
      update: async ({ RestartPolicy }: { RestartPolicy: { Name: string } }) => {
        this.#change(`update ${found().name} ${RestartPolicy.Name}`);
        found().restart = RestartPolicy.Name;
      },
      rename: async ({ name }: { name: string }) => {
        this.#change(`rename ${found().name} ${name}`);
        if (this.containers.some((one) => one.name === name)) throw answer(409, "name in use");
        found().name = name;
      },
      stop: async () => {
        this.#change(`stop ${found().name}`);
        Object.assign(found(), { state: "exited", wasStopped: true });
      },
      start: async () => {
        this.#change(`start ${found().name}`);
        if (this.#hasPort(found())) throw answer(500, "port is already allocated");
        Object.assign(found(), { state: "running", wasStopped: false });
      },
      remove: async () => {
        this.#change(`remove ${found().name}`);
        this.containers.splice(this.containers.indexOf(found()), 1);
      },
      logs: async () => Buffer.alloc(0),
      exec: async ({ Cmd }: { Cmd: string[] }) => {
        if (found().state !== "running") throw answer(409, "container is not running");
        this.commands.push(Cmd);
        return {
          start: async () => Readable.from([frame(this.command.said)]),
          inspect: async () => ({ ExitCode: this.command.ExitCode }),
        };
      },
    };
  }

  #hasPort({ id, port }: FakeContainer): boolean {
    return this.containers.some(
      (one) => one.state === "running" && one.port === port && one.id !== id,
    );
  }

  #change(what: string): void {
    if (this.changes.length >= this.changesUntilOff) throw new Error("the host is gone");
    this.changes.push(what);
  }
}
