/** An action at one commit: tags can be moved, a commit's hash cannot. */
export interface PinnedAction {
  sha: string;
  /** The tag that named this commit when it was pinned. */
  version: string;
}

/**
 * Every action that the workflows use. The hashes are those of the tags' commits in the actions' own
 * repositories: `git ls-remote https://github.com/<action> 'refs/tags/<version>*'`, the line that ends in
 * `^{}` where there is one.
 */
export const actions: Readonly<Record<string, PinnedAction>> = {
  "actions/attest": { sha: "1e69f48acb82d1966a394da916b4c1698aa569d6", version: "v4.2.2" },
  "actions/checkout": { sha: "3d3c42e5aac5ba805825da76410c181273ba90b1", version: "v7.0.1" },
  "actions/download-artifact": {
    sha: "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
    version: "v8.0.1",
  },
  "actions/setup-node": { sha: "820762786026740c76f36085b0efc47a31fe5020", version: "v7.0.0" },
  "actions/upload-artifact": { sha: "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", version: "v7.0.0" },
  "anchore/sbom-action": { sha: "e22c389904149dbc22b58101806040fa8d37a610", version: "v0.24.0" },
  "aquasecurity/trivy-action": {
    sha: "ed142fd0673e97e23eac54620cfb913e5ce36c25",
    version: "v0.36.0",
  },
  "docker/build-push-action": {
    sha: "53b7df96c91f9c12dcc8a07bcb9ccacbed38856a",
    version: "v7.3.0",
  },
  "docker/login-action": { sha: "4907a6ddec9925e35a0a9e82d7399ccc52663121", version: "v4.1.0" },
  "docker/setup-buildx-action": {
    sha: "37fe631027851001ddb9b187196cc803df7f5f0e",
    version: "v4.3.0",
  },
  "docker/setup-qemu-action": {
    sha: "96fe6ef7f33517b61c61be40b68a1882f3264fb8",
    version: "v4.2.0",
  },
  "sigstore/cosign-installer": {
    sha: "6f9f17788090df1f26f669e9d70d6ae9567deba6",
    version: "v4.1.2",
  },
};
