import type { Plugin } from "../provider/plugin.ts";
import { branch } from "./branch.ts";
import { configuration } from "./configuration.ts";
import { environmentDeploymentPolicy, repositoryEnvironment } from "./environment.ts";
import { issueLabel } from "./issueLabel.ts";
import { pullRequest } from "./pullRequest.ts";
import { repository } from "./repository.ts";
import { repositoryFile } from "./repositoryFile.ts";
import {
  actionsRepositoryAccessLevel,
  actionsRepositoryPermissions,
  repositoryVulnerabilityAlerts,
  workflowRepositoryPermissions,
} from "./repositorySettings.ts";
import { repositoryRuleset } from "./ruleset.ts";
import { settings } from "./settings.ts";

/** Stands in for the official plugin `github`, with the resources that this project uses. */
export function github(): Plugin {
  const { client, ...config } = configuration();
  return {
    name: "github",
    version: "6.15.0",
    acceptsSecrets: false,
    providerInputs: {},
    configuration: config,
    resources: {
      "github:index/repository:Repository": repository(client),
      "github:index/repositoryVulnerabilityAlerts:RepositoryVulnerabilityAlerts":
        repositoryVulnerabilityAlerts(client),
      "github:index/repositoryFile:RepositoryFile": repositoryFile(client),
      "github:index/branch:Branch": branch(client),
      "github:index/repositoryPullRequest:RepositoryPullRequest": pullRequest(client),
      "github:index/issueLabel:IssueLabel": issueLabel(client),
      "github:index/repositoryRuleset:RepositoryRuleset": repositoryRuleset(client),
      "github:index/actionsRepositoryPermissions:ActionsRepositoryPermissions":
        actionsRepositoryPermissions(client),
      "github:index/actionsRepositoryAccessLevel:ActionsRepositoryAccessLevel":
        actionsRepositoryAccessLevel(client),
      "github:index/workflowRepositoryPermissions:WorkflowRepositoryPermissions":
        workflowRepositoryPermissions(client),
      "github:index/repositoryEnvironment:RepositoryEnvironment": repositoryEnvironment(client),
      "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy":
        environmentDeploymentPolicy(client),
      ...settings(client),
    },
    functions: {},
  };
}
