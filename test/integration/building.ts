import { copyFile, mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { writeClientFiles } from "../../commands/lib/clientFiles.ts";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { thisMachine } from "../../runtime/golang.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { type Ground, projectDir, type TestStack } from "./ground.ts";

/** A client of a stack's builder: buildctl with a certificate of the stack's CA. */
export interface Client {
  /** Runs buildctl against the builder, over mutual TLS. */
  buildctl(...args: string[]): Promise<BuildctlRun>;
  /** Builds a Dockerfile on the builder. */
  build(o?: BuildOptions): Promise<Build>;
}

export interface BuildctlRun {
  code: number;
  /** Standard output and error. */
  output: string;
}

export interface BuildOptions {
  /** The Dockerfile; busybox lies beside it. Default: the sample of `npm run up`. */
  dockerfile?: string;
  /** A static one for the platform that is built for. Default: the board's, for its own platform. */
  busybox?: string;
  /** `linux/amd64`. Default: the builder's own. */
  platform?: string;
  /** Whether steps run that ran before. Default: false, what is in the cache is taken from there. */
  noCache?: boolean;
  buildArgs?: Record<string, string>;
}

export interface Build extends BuildctlRun {
  /** A file of the image that was built. */
  file(path: string): Promise<string>;
}

/** A client with files of its own, which stay valid whatever becomes of the stack. Default: of its first builder. */
export async function clientOf(
  stack: TestStack,
  name = "default",
  builderName?: string,
): Promise<Client> {
  const { ground } = stack;
  const outputs = await stack.outputs();
  const files = await mkdtemp(join(ground.folder, "client-"));
  await writeClientFiles(outputs, name, files);
  const builders = outputs.builders as { name: string; endpoint: string }[];
  const builder = builders.find((one) => one.name === (builderName ?? builders[0]?.name));
  if (!builder) throw new Error(`the stack has no builder ${builderName}`);
  return makeClient(ground, [
    ...["--addr", builder.endpoint],
    ...["--tlscacert", join(files, "ca.pem")],
    ...["--tlscert", join(files, "cert.pem")],
    ...["--tlskey", join(files, "key.pem")],
  ]);
}

/** A client without a certificate, which docker lets in: it is told by `env` where its daemon is. */
export async function containerClient(
  { ground }: TestStack,
  container: string,
  env: Record<string, string>,
): Promise<Client> {
  const debian = { suite: "trixie", architecture: thisMachine.goarch, names: ["docker-cli"] };
  const path = `${join(await ensureUnpacked(debian, log), "usr/bin")}:${process.env.PATH}`;
  return makeClient(ground, ["--addr", `docker-container://${container}`], { ...env, PATH: path });
}

/** The image of ours takes half of it on an emulated host that has a busy machine under it. */
const BUILD_MS = 1_140_000;

function makeClient(ground: Ground, address: string[], env: Record<string, string> = {}): Client {
  const buildctl = async (...args: string[]) => {
    const { exitCode, all } = await execa(ground.buildctl, [...address, ...args], {
      env,
      all: true,
      reject: false,
      timeout: BUILD_MS,
    });
    return { code: exitCode ?? 1, output: String(all ?? "") };
  };
  return {
    buildctl,
    async build({
      dockerfile = sample,
      busybox = ground.board.busybox,
      platform,
      noCache = false,
      buildArgs = {},
    } = {}) {
      const context = await mkdtemp(join(ground.folder, "context-"));
      const image = await mkdtemp(join(ground.folder, "image-"));
      await copyFile(dockerfile, join(context, "Dockerfile"));
      await copyFile(busybox, join(context, "busybox"));
      const run = await buildctl(
        ...["build", "--progress", "plain", "--frontend", "dockerfile.v0"],
        ...["--local", `context=${context}`, "--local", `dockerfile=${context}`],
        ...Object.entries(buildArgs).flatMap(([key, value]) => [
          "--opt",
          `build-arg:${key}=${value}`,
        ]),
        ...(platform ? ["--opt", `platform=${platform}`] : []),
        ...(noCache ? ["--no-cache"] : []),
        ...["--output", `type=local,dest=${image}`],
      );
      return { ...run, file: (path) => readFile(join(image, path), "utf8") };
    },
  };
}

/** What `npm run up` builds: one RUN step, whose output is in the image's /built-on. */
export const sample: string = join(projectDir, "proving-ground", "sample", "Dockerfile");

/** How many steps of a build came from the cache. */
export function cachedSteps(output: string): number {
  return output.match(/^#\d+ CACHED$/gm)?.length ?? 0;
}

/** Those of the sample: COPY and RUN. */
export const allSteps = 2;

/** A Dockerfile of the tests, by the folder that it lies in. */
export function dockerfile(name: string): string {
  return join(import.meta.dirname, "images", name, "Dockerfile");
}
