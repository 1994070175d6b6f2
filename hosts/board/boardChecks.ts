import { shown } from "../../components/schema/expected.ts";
import { hostIn, isLoopback } from "../../config/addresses.ts";
import type { Findings } from "../../config/findings.ts";
import {
  daemonReaches,
  type Reached,
  refuseLoopback,
  refuseNoCollector,
  warnOfMulticastName,
} from "../../config/networkChecks.ts";
import { refuseVainHosts } from "../../config/registryChecks.ts";
import { refuseImpossibleSettings, warnOfSettings } from "../../config/settingsChecks.ts";
import type { BoardInput } from "./boardSchema.ts";
import { networkOf } from "./resolveBoard.ts";

/** Combinations of a board's keys that no daemon could serve, or that would do something else than they say. */
export function refuseImpossibleBoard(
  board: BoardInput,
  mirror: string | undefined,
  findings: Findings,
): void {
  const refuse = findings.refuse.bind(findings);
  if (board.rootless) {
    if (board.worker === "containerd") {
      refuse(["worker"], "containerd does not run rootless here; use oci, or remove rootless.");
    }
    if (board.network === "bridge") {
      refuse(
        ["network"],
        "a rootless buildkitd has the host's network only; use host, or remove rootless.",
      );
    }
    if (board.socketActivation) {
      refuse(
        ["socketActivation"],
        "RootlessKit does not hand systemd's socket on; take rootless or socketActivation away.",
      );
    }
    if (!board.virtual && board.listen.port < 1024) {
      refuse(
        ["listen", "port"],
        `received ${board.listen.port}; without root only ports from 1024 can be listened on.`,
      );
    }
  }

  if (!board.virtual) {
    const { address, port } = board.listen;
    if (port === board.port) {
      refuse(["listen", "port"], `received ${port}, which sshd has already; choose another port.`);
    }
    if (port === board.metrics?.port) {
      refuse(
        ["metrics", "port"],
        `received ${port}, which listen.port is already; choose another.`,
      );
    }
    if (board.endpoint === undefined) refuseLoopback("listen", address, findings);
    if (board.jump && board.jump.host === board.host && board.jump.port === board.port) {
      refuse(["jump", "host"], "is the board itself; remove jump.");
    }
  } else if (board.metrics?.port === 1234) {
    refuse(
      ["metrics", "port"],
      "received 1234, which buildkitd listens on already; choose another.",
    );
  }

  refuseNoCollector(board, findings);
  const { worker, rootless, platform, buildkitd } = board;
  refuseVainHosts(
    Object.keys(board.registryCertificates),
    buildkitd.registry ?? {},
    findings.at("registryCertificates"),
  );
  refuseImpossibleSettings(
    {
      on: "board",
      worker,
      rootless,
      network: networkOf(board),
      platform,
      buildkitd,
      address: board.virtual ? undefined : board.host,
      reaches: boardReaches(board, mirror),
    },
    findings.at("buildkitd"),
  );
}

/** The hosts that a board or its jump host must reach, besides those in its settings of buildkitd. */
function boardReaches(board: BoardInput, mirror: string | undefined): Reached[] {
  const { address = "", jump = "" } = board.virtual
    ? {}
    : { address: board.listen.address, jump: board.jump?.host };
  return [
    { key: "listen.address", host: address },
    { key: "jump.host", host: jump },
    { key: "buildhosts:releases.mirror", host: mirror ? hostIn(mirror) : "" },
    ...daemonReaches(board),
  ];
}

/** Warns about risks of a board's configuration. */
export function warnOfBoard(board: BoardInput, buildkit: string, findings: Findings): void {
  const warn = findings.warn.bind(findings);

  if (networkOf(board) === "host") {
    warn(
      board.network ? ["network"] : ["rootless"],
      `RUN steps share the board's network: they can reach the daemon's port${board.metrics ? ", the metrics and pprof" : ""} and everything else on its loopback.`,
    );
  }
  if (board.abandon) {
    warn(
      ["abandon"],
      "deleting this board from the stack will leave everything on it as it is; its certificate stays valid until it ends.",
    );
  }
  if (!board.virtual) {
    warnOfMulticastName(["host"], board.host, findings);
    warnOfMulticastName(["jump", "host"], board.jump?.host, findings);
    warnOfMulticastName(["endpoint"], board.endpoint?.host, findings);
  }
  if (networkOf(board) === "bridge") {
    for (const key of ["http", "https"] as const) {
      const url = board.proxies?.[key];
      if (url === undefined || !isLoopback(hostIn(url))) continue;
      warn(
        ["proxies", key],
        `${shown(url)} is on the board's loopback: buildkitd reaches it, and RUN steps on the bridge do not; name an address of the board's network if builds shall use it.`,
      );
    }
  }
  warnOfSettings({ on: "board", buildkitd: board.buildkitd }, buildkit, findings.at("buildkitd"));
}
