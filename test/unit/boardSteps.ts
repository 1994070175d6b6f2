import { chmodSync } from "node:fs";
import { bundle, bundleId, type Files } from "../../components/board/bundle.ts";
import type { FakeBoard } from "./fakeBoard.ts";

/** Where boardctl keeps everything. */
export const home = "/usr/local/lib/buildhosts";

/** The store's folder of a release whose sha256 is the component's name over and over. */
export function folderOf(component: string, version: string): string {
  return `${home}/store/${component}-${version}-${component.repeat(8).slice(0, 12)}`;
}

/** A program of the board. */
export function executable(board: FakeBoard, path: string, script: string): void {
  board.write(path, `#!/bin/sh\n${script}\n`);
  chmodSync(board.at(path), 0o755);
}

/**
 * A release as earlier versions left it, without sums; BuildKit's client answers as it does to a healthy daemon, and writes
 * down what it was asked in `/asked`.
 */
export function putRelease(board: FakeBoard, component: string, version: string): void {
  const folder = folderOf(component, version);
  board.write(`${folder}/sha256`, component.repeat(8));
  if (component !== "buildkit") {
    executable(board, `${folder}/bin/${component}`, "echo 1.0");
    return;
  }
  executable(board, `${folder}/bin/buildkitd`, "echo 1.0");
  executable(
    board,
    `${folder}/bin/buildctl`,
    `echo "$*" >>${board.at("/asked")}; printf 'ID\\nworker\\n'`,
  );
}

/** Those of `activation`, and another BuildKit. */
export function putReleases(board: FakeBoard): void {
  for (const [component, version] of [
    ["containerd", "v2"],
    ["runc", "v1"],
    ["buildkit", "v1"],
    ["buildkit", "v2"],
  ] as const)
    putRelease(board, component, version);
}

/** Stages a configuration; its id. */
export async function stageConfig(board: FakeBoard, files: Files): Promise<string> {
  const text = bundle({ "containerd.service": "", "buildkitd.service": "", ...files });
  const { exitCode, all } = await board.boardctl(["stage-config", bundleId(text)], text);
  if (exitCode !== 0) throw new Error(all);
  return bundleId(text);
}

export const certificateFiles: Files = {
  "ca.pem": "CA",
  "cert.pem": "CERT",
  "key.pem": "KEY",
  "client-cert.pem": "CLIENT CERT",
  "client-key.pem": "CLIENT KEY",
  validity: "0 99999999999",
};

/** What `activate` gets on its standard input. */
export const certificates = bundle(certificateFiles);

/** The words of an `activate`. */
export function activation(buildkit: string, configId: string, more: string[] = []): string[] {
  return [
    ...["activate", "--containerd", "v2", "--runc", "v1", "--buildkit", buildkit],
    ...["--config", configId, "--check", "tcp://127.0.0.1:1234", "--server-name", "board"],
    ...["--drain-seconds", "0", ...more],
  ];
}
