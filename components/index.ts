export { BuilderBoard, type BuilderBoardArgs } from "./builderBoard.ts";
export { BuilderRepository, type BuilderRepositoryArgs } from "./builderRepository.ts";
export { BuilderSecrets, type BuilderSecretsArgs } from "./builderSecrets.ts";
export { CertificateAuthority, type CertificateAuthorityArgs } from "./certificateAuthority.ts";
export { ClientCertificate, type ClientCertificateArgs } from "./clientCertificate.ts";
export { RepositoryWorkflows, type RepositoryWorkflowsArgs } from "./repositoryWorkflows.ts";
export { ServerCertificate, type ServerCertificateArgs } from "./serverCertificate.ts";
