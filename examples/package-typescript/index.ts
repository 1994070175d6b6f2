// A board and a client in a Pulumi program of your own. It runs in this clone, whose node_modules it uses:
//   npm ci
//   cd examples/package-typescript && pulumi stack init home && pulumi up
import {
  BuilderBoard,
  CertificateAuthority,
  ClientCertificate,
  ServerCertificate,
} from "../../components/index.ts";

const host = "visionfive.example.com";

const ca = new CertificateAuthority("builders", { organization: "Example" }, { protect: true });
const signer = { caCertPem: ca.certPem, caPrivateKeyPem: ca.privateKeyPem };

const server = new ServerCertificate("visionfive-server", { ...signer, dnsNames: [host] });
const healthCheck = new ClientCertificate("health-check", signer);
const alice = new ClientCertificate("alice", signer);

const board = new BuilderBoard("visionfive", {
  connection: {
    host,
    hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINT2k7qIbRnpRuB6sEh56B9jBY+ZNiM6KG4xBgeER5om",
  },
  platform: "linux/riscv64",
  releases: { containerd: "v2.4.2", runc: "v1.5.2", buildkit: "v0.34.2" },
  caCertPem: ca.certPem,
  caValidityStartTime: ca.validityStartTime,
  certificate: server,
  healthCheck,
  serverName: host,
  buildkitd: { worker: { maxUsedSpace: "100GB" } },
});

export const endpoint = board.endpoint;
/** `pulumi stack output --show-secrets client` prints them. */
export const client = { ca: ca.certPem, cert: alice.certPem, key: alice.privateKeyPem };
