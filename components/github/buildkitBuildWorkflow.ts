import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BINFMT_IMAGE } from "../images.ts";
import {
  addBuildArgument,
  removeStep,
  renderWorkflow,
  setInStep,
  setRunner,
  workflowFile,
} from "./workflow.ts";

export interface BuildkitBuildArgs {
  /** Owner of the repository, and of the package on ghcr.io. */
  owner: string;
  /** Name of the package. Default: `buildkit-riscv64`. */
  packageName?: string;
  /** Labels of the runner that is a riscv64 machine. Default: `self-hosted`, `linux`, `riscv64`. */
  runsOn?: string[];
  /** When it builds the newest of master, in UTC. Default: `30 6 * * 0`, Sundays at 06:30. */
  schedule?: string;
  /** The visibility of the image, which the check at the end compares. Default: `public`. */
  visibility?: string;
  /**
   * Whether GitHub attests where files and image come from, which it does in public repositories, and in others
   * for GitHub Enterprise Cloud alone. Default: true.
   */
  attest?: boolean;
  /** The images that a release is made with. Default: upstream's, by tags that move, but for binfmt. */
  images?: ReleaseImagesArgs;
  /** How many development builds stay in the package. Default: 8. */
  keepDevelopmentBuilds?: number;
  /** How many days what has no tag stays in the package. Default: 7. */
  keepUntaggedDays?: number;
}

/** Images that make a release, each by its digest: a tag that moves must not change a signed release. */
export interface ReleaseImagesArgs {
  /** The image that builds it. Default: `moby/buildkit:buildx-stable-1`. */
  buildkit?: string;
  /** The scanner that lists its contents. Default: `docker/buildkit-syft-scanner:stable-1`. */
  scanner?: string;
  /** The base image. Default: `debian:trixie-slim`. */
  base?: string;
  /** The emulator of the second platform in the tests. Default: `tonistiigi/binfmt`, by its digest. */
  binfmt?: string;
}

/** The image's name, `ghcr.io/<owner>/<package>`: registries want lower case, GitHub's owners may not have it. */
export function containerImage(owner: string, packageName = "buildkit-riscv64"): string {
  return `ghcr.io/${owner}/${packageName}`.toLowerCase();
}

/** The jobs that need a riscv64 machine. */
const NATIVE = [
  "binaries",
  "test-binaries",
  "image",
  "test-image",
  "test-buildx",
  "test-multi-platform",
];

const ATTESTATIONS = [
  "Attest where the files come from",
  "Attest what is in the binaries",
  "Attest where the image comes from",
];

/**
 * The files of a repository that builds BuildKit for riscv64 and publishes it: the workflow, the image's
 * Dockerfile with its scripts, and the recipe of the Debian and RPM packages.
 */
export function buildkitBuildFiles(args: BuildkitBuildArgs): Record<string, string> {
  return {
    ".github/workflows/buildkit-weekly-build.yml": buildkitBuildWorkflow(args),
    "Dockerfile.buildkit-riscv64": imageFile("Dockerfile"),
    "image/entrypoint.sh": imageFile("entrypoint.sh"),
    "image/verify-release.sh": imageFile("verify-release.sh"),
    "nfpm.buildkit-riscv64.yaml": workflowFile("nfpm.buildkit-riscv64.yaml"),
  };
}

/** The text of a file that this project's own image is made of. */
function imageFile(name: string): string {
  return readFileSync(join(import.meta.dirname, "../image", name), "utf8");
}

/** A workflow that builds, tests and publishes BuildKit for riscv64, weekly and on request. */
export function buildkitBuildWorkflow({
  owner,
  packageName = "buildkit-riscv64",
  runsOn = ["self-hosted", "linux", "riscv64"],
  schedule = "30 6 * * 0",
  visibility = "public",
  attest = true,
  images = {},
  keepDevelopmentBuilds = 8,
  keepUntaggedDays = 7,
}: BuildkitBuildArgs): string {
  return renderWorkflow("buildkit-weekly-build.yml", (workflow) => {
    workflow.setIn(["on", "schedule", 0, "cron"], schedule);
    workflow.setIn(["env", "IMAGE"], containerImage(owner, packageName));
    for (const job of NATIVE) setRunner(workflow, job, runsOn);
    const set = (job: string, step: string, key: string, value: string) =>
      setInStep(workflow, { job, step, path: ["env", key], value });
    const { buildkit, scanner, base, binfmt = BINFMT_IMAGE } = images;
    const build = "Build and push, by digest";
    if (buildkit) {
      setInStep(workflow, {
        job: "image",
        step: "Start a builder",
        path: ["with", "driver-opts"],
        value: `image=${buildkit}`,
      });
    }
    if (scanner) {
      setInStep(workflow, {
        job: "image",
        step: build,
        path: ["with", "sbom"],
        value: `generator=${scanner}`,
      });
    }
    if (base) addBuildArgument(workflow, "image", build, `BASE_IMAGE=${base}`);
    setInStep(workflow, {
      job: "test-multi-platform",
      step: "Emulate amd64",
      path: ["with", "image"],
      value: binfmt,
    });
    if (!attest) {
      for (const step of ATTESTATIONS) removeStep(workflow, "publish", step);
      workflow.deleteIn(["jobs", "publish", "permissions", "attestations"]);
      set("publish", "Gather the release", "ATTESTED", "false");
    }
    set("publish", "Say who can pull the image", "PACKAGE", packageName);
    set("publish", "Say who can pull the image", "VISIBILITY", visibility);
    set("retention", "Delete old versions", "PACKAGE", packageName);
    set(
      "retention",
      "Delete old versions",
      "KEEP_DEVELOPMENT_BUILDS",
      String(keepDevelopmentBuilds),
    );
    set("retention", "Delete old versions", "KEEP_UNTAGGED_DAYS", String(keepUntaggedDays));
  });
}
