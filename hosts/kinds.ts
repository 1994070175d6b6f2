import { boardKind } from "./board/boardKind.ts";
import { dockerHostKind } from "./dockerHost/dockerHostKind.ts";
import type { HostKind } from "./hostKind.ts";

/** Every kind of host, in the order in which a stack file is read and its resources are declared. */
export const hostKinds = [boardKind, dockerHostKind] as const;

type Kind = (typeof hostKinds)[number];

export type HostKey = Kind["key"];

/** The hosts of a stack, by the key of their kind: the arguments of their components. */
export type HostConfigs = {
  [Each in Kind as Each["key"]]: Each extends HostKind<string, infer Config> ? Config[] : never;
};
