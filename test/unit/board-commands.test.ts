import { expect, test } from "vitest";
import { boardctl, boardctlSource } from "../../components/board/boardctl.ts";
import { installCommand } from "../../components/board/commands.ts";
import { release } from "../../components/board/releases.ts";

const runc = release("runc", "v1.5.2", "linux/riscv64");
const source = {
  release: runc,
  url: `https://github.com/${runc.path}`,
  checksum: `https://github.com/${runc.checksumPath}`,
};

test("releases are named with where they and their checksums come from, each on a line", () => {
  expect(installCommand([source])).toMatchInlineSnapshot(`
    "/usr/local/lib/buildhosts/boardctl install \\
      runc v1.5.2 https://github.com/opencontainers/runc/releases/download/v1.5.2/runc.riscv64 https://github.com/opencontainers/runc/releases/download/v1.5.2/runc.sha256sum"
  `);
});

test("the daemon's proxies are those of the downloads; its other variables are not", () => {
  const environment = {
    HTTPS_PROXY: "http://proxy.example.com:3128",
    NO_PROXY: "mirror.lan,10.0.0.0/8",
    OTEL_SERVICE_NAME: "board",
  };
  expect(installCommand([source], environment)).toMatchInlineSnapshot(`
    "/usr/local/lib/buildhosts/boardctl install \\
      --proxy https_proxy=http://proxy.example.com:3128 \\
      --proxy no_proxy=mirror.lan,10.0.0.0/8 \\
      runc v1.5.2 https://github.com/opencontainers/runc/releases/download/v1.5.2/runc.riscv64 https://github.com/opencontainers/runc/releases/download/v1.5.2/runc.sha256sum"
  `);
});

test("a board gets the script without its comments, and nothing else is missing", () => {
  const isCode = (line: string) => line.trim() !== "" && !/^\s*#(?!!)/.test(line);
  expect(boardctl.split("\n").filter((line) => /^\s*#/.test(line))).toEqual(["#!/bin/sh"]);
  expect(boardctl.split("\n").filter(isCode)).toEqual(boardctlSource.split("\n").filter(isCode));
});
