// poolctl with every path of the machine below a folder, and systemd, apt and HAProxy in the form of scripts. How the real ones
// take it, test/integration/pool.test.ts shows.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bundle } from "../../components/board/bundle.ts";
import { shortHash } from "../../components/shortHash.ts";

const source = readFileSync(join(import.meta.dirname, "../../components/pool/poolctl.sh"), "utf8");

let root: string;
let script: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "buildhosts-poolctl-"));
  script = at("tmp/poolctl");
  write(
    "tmp/poolctl",
    source
      .replaceAll("/usr/local/lib/", `${at("usr/local/lib")}/`)
      .replaceAll("/run/", `${at("run")}/`)
      .replaceAll("=/usr/sbin/haproxy", `=${at("usr/sbin/haproxy")}`)
      .replace("export PATH=", `export PATH=${at("bin")}:`),
  );
  mkdirSync(at("run/systemd/system"), { recursive: true });
  program("bin/id", "echo 0");
  program("bin/systemctl", `echo "$*" >>${at("systemctl.log")}; [ "$1" != is-active ]`);
  program("bin/journalctl", "echo '[ALERT]    (12) : Starting proxy pool: cannot bind socket'");
  program("bin/sleep", "exit 0");
  program("bin/curl", `cat ${at("page")}`);
  write("page", page("UP,L7OK,,"));
  haproxy("2.6.12-1+deb12u4");
});
afterEach(() => rmSync(root, { recursive: true }));

const at = (path: string) => join(root, path);

function write(path: string, text: string): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text);
}

function program(path: string, text: string): void {
  write(path, `#!/bin/sh\n${text}\n`);
  chmodSync(at(path), 0o755);
}

function haproxy(version: string, check = "exit 0"): void {
  program(
    "usr/sbin/haproxy",
    `case $1 in -v) echo "HAProxy version ${version} 2026/10/17 - https://haproxy.org/" ;; *) ${check} ;; esac`,
  );
}

/** HAProxy's page with one builder. */
function page(builder: string): string {
  return `# pxname,svname,status,check_status,last_chk,\nbuilders,board-1,${builder}\nbuilders,BACKEND,UP,,,\n`;
}

const cfg = "global\n";
const id = shortHash(cfg);
const owner = "project/stack/pool";
const certificates = bundle({ "ca.pem": "CA", "health-check.pem": "KEY", unit: "[Unit]" });

function poolctl(input: string, ...words: string[]): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync("sh", [script, ...words], {
    input,
    encoding: "utf8",
  });
  return { code: status, said: `${stdout}${stderr}` };
}
const stage = (input = cfg, by = owner) => poolctl(input, "stage", "pool", by, id);
const activate = (input = certificates) =>
  poolctl(input, "activate", "pool", owner, id, "127.0.0.1:8405");

const pools = "usr/local/lib/buildhosts-pools";
const current = (file: string) => readFileSync(at(`${pools}/pool/current/${file}`), "utf8");
const systemctl = () => readFileSync(at("systemctl.log"), "utf8");

describe("poolctl stage", () => {
  test("places haproxy.cfg and itself, and starts nothing", () => {
    expect(stage()).toEqual({
      code: 0,
      said: `pool: HAProxy 2.6 is there; haproxy.cfg ${id} is staged\n`,
    });
    expect(readFileSync(at(`${pools}/pool/staged/${id}`), "utf8")).toBe(cfg);
    expect(existsSync(at("systemctl.log"))).toBe(false);
    expect(spawnSync("test", ["-x", at(`${pools}/poolctl`)]).status).toBe(0);
  });

  test("refuses what was cut off", () => {
    expect(stage("glo")).toEqual({
      code: 1,
      said: "pool: haproxy.cfg was cut off on its way; nothing was changed\n",
    });
  });

  test("refuses the pool of another stack", () => {
    stage();
    expect(stage(cfg, "project/other/pool")).toEqual({
      code: 1,
      said: "pool: the pool of that name on this machine belongs to project/stack/pool, not to project/other/pool: choose another name, or remove that one\n",
    });
  });

  test.each(["2.2.9", "2.4.24"])("refuses HAProxy %s", (version) => {
    haproxy(version);
    const { code, said } = stage();
    expect(code).toBe(1);
    expect(said).toContain(
      `is of version ${version.slice(0, 3)}; a pool needs 2.6 or newer: Debian has it from 12 on, Ubuntu from 24.04 on`,
    );
  });

  test.each(["2.6.12", "2.8.5-1ubuntu3", "3.0.11", "10.1.0"])("takes HAProxy %s", (version) => {
    haproxy(version);
    expect(stage().code).toBe(0);
  });

  test("installs the package where it is missing, and leaves its own service off", () => {
    rmSync(at("usr/sbin/haproxy"));
    program(
      "bin/apt-get",
      `case "$*" in *update) ;; *haproxy) mkdir -p ${at("usr/sbin")}; printf '#!/bin/sh\\necho "HAProxy version 3.0.1 x"\\n' >${at("usr/sbin/haproxy")}; chmod 755 ${at("usr/sbin/haproxy")} ;; esac`,
    );
    const { code, said } = stage();
    expect(code, said).toBe(0);
    expect(said).toContain("pool: installing the package haproxy\n");
    expect(systemctl()).toBe("disable --now --quiet haproxy.service\n");
  });

  test("tells what apt says where there is no package", () => {
    rmSync(at("usr/sbin/haproxy"));
    program("bin/apt-get", "echo 'E: Unable to locate package haproxy'; exit 100");
    const { code, said } = stage();
    expect(code).toBe(1);
    expect(said).toContain(
      "the package haproxy cannot be installed: E: Unable to locate package haproxy; see to this machine's archives",
    );
  });
});

describe("poolctl activate", () => {
  beforeEach(() => {
    stage();
  });

  test("starts HAProxy, and tells how many builders it serves", () => {
    expect(activate()).toEqual({ code: 0, said: "pool: HAProxy serves 1 of 1 builders\n" });
    expect(current("haproxy.cfg")).toBe(cfg);
    expect(current("health-check.pem")).toBe("KEY\n");
    expect(systemctl()).toContain("restart buildhosts-pool@pool.service\n");
  });

  test("warns of a builder that the machine does not reach", () => {
    write("page", page("DOWN,L4CON,Connection refused,"));
    const { code, said } = activate();
    expect(code).toBe(0);
    expect(said).toBe(
      "pool: warning: board-1 is DOWN for this pool: L4CON Connection refused; is there a firewall between them, or does its endpoint lead elsewhere from here?\n" +
        "pool: HAProxy serves 0 of 1 builders\n",
    );
  });

  test("changes nothing where HAProxy refuses the configuration", () => {
    activate();
    haproxy("2.6.12", "echo '[ALERT]    (12) : config : unknown keyword'; exit 1");
    const { code, said } = activate(
      bundle({ "ca.pem": "NEW", "health-check.pem": "KEY", unit: "" }),
    );
    expect(code).toBe(1);
    expect(said).toContain(
      "HAProxy refuses its configuration, and nothing was changed: config : unknown keyword",
    );
    expect(current("ca.pem")).toBe("CA\n");
    const unit = at("usr/local/lib/systemd/system/buildhosts-pool@.service");
    expect(readFileSync(unit, "utf8")).toBe("[Unit]\n");
  });

  test("goes back to what ran, where HAProxy does not start", () => {
    activate();
    program(
      "bin/systemctl",
      `case "$*" in restart*) [ "$(cat ${at(pools)}/pool/current/ca.pem)" = CA ] ;; is-active*) exit 3 ;; esac`,
    );
    const { code, said } = activate(
      bundle({ "ca.pem": "NEW", "health-check.pem": "KEY", unit: "[Unit]" }),
    );
    expect(code).toBe(1);
    expect(said).toContain(
      "HAProxy does not start with its new configuration, and runs with the one before: Starting proxy pool: cannot bind socket",
    );
    expect(current("ca.pem")).toBe("CA\n");
  });

  test("refuses certificates that were cut off", () => {
    const { code, said } = activate(certificates.slice(0, 30));
    expect(code).toBe(1);
    expect(said).toContain("the certificates were cut off on their way; nothing was changed");
    expect(readdirSync(at(`${pools}/pool`)).sort()).not.toContain("current");
  });

  test("keeps one generation alone", () => {
    activate();
    activate(bundle({ "ca.pem": "NEW", "health-check.pem": "KEY", unit: "[Unit]" }));
    expect(current("ca.pem")).toBe("NEW\n");
    expect(readdirSync(at(`${pools}/pool/generations`))).toHaveLength(1);
  });
});

describe("poolctl remove", () => {
  test("leaves nothing, and twice is no failure", () => {
    stage();
    activate();
    expect(poolctl("", "remove", "pool", owner)).toEqual({
      code: 0,
      said: "pool: removed; the package haproxy stays\n",
    });
    expect(existsSync(at(pools))).toBe(false);
    expect(readdirSync(at("usr/local/lib/systemd/system"))).toEqual([]);
    expect(poolctl("", "remove", "pool", owner).code).toBe(0);
  });

  test("leaves other pools of the machine, and the pool of another stack", () => {
    stage();
    activate();
    poolctl(cfg, "stage", "second", "project/stack/second", id);
    poolctl("", "remove", "second", "project/stack/second");
    expect(current("haproxy.cfg")).toBe(cfg);
    expect(poolctl("", "remove", "pool", "project/other/pool")).toEqual({
      code: 0,
      said: "pool: this pool belongs to project/stack/pool, not to project/other/pool, so it stays\n",
    });
    expect(current("haproxy.cfg")).toBe(cfg);
  });
});
