import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The files that take minutes, the slowest first: a worker that begins one last is waited for by the others. */
const slow = [
  "riscv64.test.ts",
  "docker-hand-over.test.ts",
  "docker-host.test.ts",
  "docker-image.test.ts",
  "commands.test.ts",
  "github.test.ts",
  "lifecycle-kinds.test.ts",
  "fresh-machine.test.ts",
];

/** The order of the files: `slow`, and then Vitest's own, which has no times in a new clone. */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = slow.indexOf(basename(moduleId));
      return at < 0 ? slow.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
