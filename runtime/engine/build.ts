import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { thisMachine } from "../golang.ts";
import { writeScript } from "../launcher.ts";
import { toStderr } from "../progress.ts";
import { buildEngine, engineVersion } from "./engine.ts";

const usage = `Builds the Pulumi engine ${engineVersion} from Go modules, for machines that Pulumi publishes none for. It is
static: copy the folder there and put it on PATH. The language host beside it runs in a clone of buildhosts.

Usage: node runtime/engine/build.ts --out DIR [--arch ARCH] [--os OS]

  --out DIR    where pulumi and pulumi-language-nodejs are written; made if missing
  --arch ARCH  Go's name of the architecture, such as riscv64 (default: ${thisMachine.goarch})
  --os OS      Go's name of the operating system (default: ${thisMachine.goos})

Example: node runtime/engine/build.ts --arch riscv64 --out pulumi-riscv64
`;

try {
  const { values } = parseArgs({
    options: {
      out: { type: "string" },
      arch: { type: "string", default: thisMachine.goarch },
      os: { type: "string", default: thisMachine.goos },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
  } else {
    if (!values.out) throw new Error("--out: missing; name the folder to write the engine into");
    const folder = resolve(values.out);
    await buildEngine({ goos: values.os, goarch: values.arch, folder, log: toStderr });
    const languageHost = await readFile(join(import.meta.dirname, "language-host.sh"), "utf8");
    await writeScript(join(folder, "pulumi-language-nodejs"), languageHost);
    process.stdout.write(
      `Built Pulumi ${engineVersion} for ${values.os}/${values.arch} in ${folder}\n`,
    );
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
