import { copyFile, mkdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { execa } from "execa";
import type { BoardConnection, VirtualBoard } from "../../proving-ground/board/virtualBoard.ts";
import type { DockerHostConnection } from "../../proving-ground/docker/virtualDockerHost.ts";
import type { Progress } from "../../runtime/progress.ts";
import type { KnownBuilder } from "../../stack/outputs.ts";
import { writeClientFiles } from "./clientFiles.ts";
import { inPrivateFolder } from "./privateFolder.ts";
import { localDir, projectDir } from "./stackFile.ts";

/**
 * Builds the sample image with `buildctl` on each virtual machine's builders over mutual TLS, and says what came of it.
 */
export async function buildSample(
  outputs: Record<string, unknown>,
  machines: VirtualBoard[],
  buildctl: string,
  log: Progress,
): Promise<void> {
  const client = Object.keys((outputs.clientCertificates ?? {}) as object)[0];
  if (!client) return log.note("no sample image: the stack has no client");
  for (const builder of outputs.builders as KnownBuilder[]) {
    // A stack may have other hosts beside the virtual ones.
    const machine = machines.find(({ connection }) =>
      builderPorts(connection).some(
        (port) => builder.endpoint === `tcp://${connection.host}:${port}`,
      ),
    );
    if (!machine) continue;
    await inPrivateFolder("sample", async (work) => {
      await writeClientFiles(outputs, client, join(work, "client"));
      await mkdir(join(work, "context"));
      await copyFile(
        join(projectDir, "proving-ground", "sample", "Dockerfile"),
        join(work, "context", "Dockerfile"),
      );
      await copyFile(machine.busybox, join(work, "context", "busybox"));
      await mkdir(join(localDir, "images"), { recursive: true });
      const image = join(localDir, "images", `sample-${builder.name}.oci.tar`);
      const started = Date.now();
      await log.step(`build an image on ${builder.name} over mutual TLS`, () =>
        sampleBuild(buildctl, builder.endpoint, work, image),
      );
      const metadata = JSON.parse(await readFile(join(work, "metadata.json"), "utf8"));
      log.note(
        `${relative(projectDir, image)}: ${metadata["containerimage.digest"]}, ` +
          `${((await stat(image)).size / 1e6).toFixed(1)} MB, in ${((Date.now() - started) / 1000).toFixed(1)} s`,
      );
    });
  }
}

function builderPorts(connection: BoardConnection | DockerHostConnection): number[] {
  return "builderPorts" in connection
    ? Object.values(connection.builderPorts)
    : [connection.buildkitPort];
}

async function sampleBuild(buildctl: string, endpoint: string, work: string, image: string) {
  const { exitCode, all } = await execa(
    buildctl,
    [
      ...["--addr", endpoint],
      ...["--tlscacert", join(work, "client", "ca.pem")],
      ...["--tlscert", join(work, "client", "cert.pem")],
      ...["--tlskey", join(work, "client", "key.pem")],
      ...["build", "--progress", "plain", "--frontend", "dockerfile.v0"],
      ...["--local", `context=${join(work, "context")}`],
      ...["--local", `dockerfile=${join(work, "context")}`],
      // The RUN step is to run, not to be remembered from the last time.
      "--no-cache",
      ...["--output", `type=oci,dest=${image}`],
      ...["--metadata-file", join(work, "metadata.json")],
    ],
    { all: true, reject: false, timeout: 300_000 },
  );
  if (exitCode !== 0) {
    throw new Error(`the sample image was not built:\n${all.split("\n").slice(-15).join("\n")}`);
  }
}
