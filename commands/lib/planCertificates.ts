import type { PlanEntry } from "./plan.ts";
import { difference, type PlannedStep } from "./planned.ts";
import { POOL } from "./planPools.ts";

const AUTHORITY = "buildhosts:index:CertificateAuthority";
const CLIENT = "buildhosts:index:ClientCertificate";
const SERVER = "buildhosts:index:ServerCertificate";

/** The client of the health checks, which the stack makes for itself: its resources are named after it. */
const HEALTH_CHECK = "client-health-check";

/** What becomes of the CA and of the clients' certificates. */
export function certificatePlans(steps: readonly PlannedStep[]): PlanEntry[] {
  const entries: PlanEntry[] = [];
  const add = (name: string, clause: string) =>
    entries.push({ name, clauses: [clause], builds: { fate: "none" } });
  const authority = changeOf(steps, AUTHORITY);
  if (authority === "create") add("CA", "is made");
  if (authority === "change")
    add("CA", "is renewed: every certificate is signed anew, and clients need their new files");
  if (authority === "delete") add("CA", "leaves the stack, with every certificate that it signed");
  const clients = new Set(
    steps.filter(({ parent }) => parent.type === CLIENT).map(({ parent }) => parent.name),
  );
  // The stack's own: nobody else has their files.
  const pools = steps.filter(({ parent }) => parent.type === POOL);
  const own = new Set([HEALTH_CHECK, ...pools.map(({ parent }) => `client-pool-${parent.name}`)]);
  for (const client of [...clients].sort()) {
    if (own.has(client)) continue;
    const change = changeOf(steps, CLIENT, client);
    const name = client.replace(/^client-/, "client ");
    if (change === "create") add(name, "gets a certificate");
    // That of the CA has said it of all.
    if (change === "change" && authority !== "change")
      add(name, "gets a new certificate, and needs its new files");
    if (change === "delete" && authority !== "delete")
      add(name, "leaves the stack; builders accept its certificate until it ends");
  }
  return entries;
}

/** Whether the certificate that a builder shows is another one afterwards. */
export function isCertificateRenewed(steps: readonly PlannedStep[], builder: string): boolean {
  return changeOf(steps, SERVER, `${builder}-server`) === "change";
}

/** Whether builders trust another CA afterwards. */
export function isAuthorityRenewed(steps: readonly PlannedStep[]): boolean {
  return changeOf(steps, AUTHORITY) === "change";
}

/** Whether the client of the health checks has another certificate afterwards. */
export function isHealthCheckRenewed(steps: readonly PlannedStep[]): boolean {
  return changeOf(steps, CLIENT, HEALTH_CHECK) === "change";
}

/** What becomes of the certificate of a component, or of the first one of its kind. */
function changeOf(
  steps: readonly PlannedStep[],
  type: string,
  name?: string,
): "create" | "change" | "delete" | undefined {
  const found = steps.find(
    (step) =>
      step.parent.type === type &&
      (name === undefined || step.parent.name === name) &&
      step.name.endsWith("-certificate"),
  );
  if (!found || found.op === "same") return undefined;
  return found.op === "create" || found.op === "delete" ? found.op : "change";
}

/** What an update does to the certificates on a builder; `trusts` says whether it brings the CA's there. */
export function certificateChanges(
  steps: readonly PlannedStep[],
  builder: string,
  trusts: boolean,
): string[] {
  if (isCertificateRenewed(steps, builder)) {
    const names = certificateNames(steps, builder);
    return [`gets a new certificate${names.length > 0 ? ` (${names.join(", ")})` : ""}`];
  }
  return trusts && isAuthorityRenewed(steps) ? ["trusts the new CA"] : [];
}

/** The names and addresses that a builder's certificate gets or loses: `+ builder.lan`. */
function certificateNames(steps: readonly PlannedStep[], builder: string): string[] {
  const request = steps.find(
    ({ parent, name }) => parent.name === `${builder}-server` && name.endsWith("-request"),
  );
  if (request?.op !== "replace" && request?.op !== "update") return [];
  const namesIn = (state: PlannedStep["new"]) =>
    ["dnsNames", "ipAddresses"].flatMap((key) => {
      const names = state?.inputs?.[key];
      return Array.isArray(names) ? names.map(String) : [];
    });
  const { added, gone } = difference(namesIn(request.old), namesIn(request.new));
  return [...added.map((name) => `+ ${name}`), ...gone.map((name) => `- ${name}`)];
}
