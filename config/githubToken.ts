/** What a fine-grained token must be given; unlike a classic one, it does not say what it may do. */
export const FINE_GRAINED_PERMISSIONS =
  "Administration, Contents, Workflows, Actions, Secrets, Variables, Environments and Pull requests, each to read and write, on these repositories (for an organization's secrets also its Secrets and Variables)";
