import { copyFile, mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { writeClientFiles } from "../../tools/clientFiles.ts";
import { projectDir, type TestStack } from "./ground.ts";

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
  /** Whether steps run that ran before. Default: false, what is in the cache is taken from there. */
  noCache?: boolean;
  buildArgs?: Record<string, string>;
}

export interface Build extends BuildctlRun {
  /** A file of the image that was built. */
  file(path: string): Promise<string>;
}

/** A client with files of its own, which stay valid whatever becomes of the stack. */
export async function clientOf(stack: TestStack, name = "default"): Promise<Client> {
  const { ground } = stack;
  const outputs = await stack.outputs();
  const files = await mkdtemp(join(ground.folder, "client-"));
  await writeClientFiles(outputs, name, files);
  const [builder] = outputs.builders as [{ endpoint: string }];
  const buildctl = async (...args: string[]) => {
    const { exitCode, all } = await execa(
      ground.buildctl,
      [
        ...["--addr", builder.endpoint],
        ...["--tlscacert", join(files, "ca.pem")],
        ...["--tlscert", join(files, "cert.pem")],
        ...["--tlskey", join(files, "key.pem")],
        ...args,
      ],
      { all: true, reject: false, timeout: 180_000 },
    );
    return { code: exitCode ?? 1, output: String(all ?? "") };
  };
  return {
    buildctl,
    async build({ dockerfile = sample, noCache = false, buildArgs = {} } = {}) {
      const context = await mkdtemp(join(ground.folder, "context-"));
      const image = await mkdtemp(join(ground.folder, "image-"));
      await copyFile(dockerfile, join(context, "Dockerfile"));
      await copyFile(ground.board.busybox, join(context, "busybox"));
      const run = await buildctl(
        ...["build", "--progress", "plain", "--frontend", "dockerfile.v0"],
        ...["--local", `context=${context}`, "--local", `dockerfile=${context}`],
        ...Object.entries(buildArgs).flatMap(([key, value]) => [
          "--opt",
          `build-arg:${key}=${value}`,
        ]),
        ...(noCache ? ["--no-cache"] : []),
        ...["--output", `type=local,dest=${image}`],
      );
      return { ...run, file: (path) => readFile(join(image, path), "utf8") };
    },
  };
}

/** What `npm run up` builds: one RUN step, whose output is in the image's /built-on. */
export const sample: string = join(projectDir, "proving-ground", "sample", "Dockerfile");

/** A Dockerfile of the tests, by the folder that it lies in. */
export function dockerfile(name: string): string {
  return join(import.meta.dirname, "images", name, "Dockerfile");
}
