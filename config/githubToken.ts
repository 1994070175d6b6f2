/** The permissions that a fine-grained token needs. Unlike a classic token, it does not list its own. */
export const FINE_GRAINED_PERMISSIONS =
  "Administration, Contents, Workflows, Actions, Secrets, Variables, Environments and Pull requests, each to read and write, on these repositories (for an organization's secrets also its Secrets and Variables)";
