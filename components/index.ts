export { BuilderBoard, type BuilderBoardArgs } from "./builderBoard.ts";
export { CertificateAuthority, type CertificateAuthorityArgs } from "./certificateAuthority.ts";
export { ClientCertificate, type ClientCertificateArgs } from "./clientCertificate.ts";
export { ServerCertificate, type ServerCertificateArgs } from "./serverCertificate.ts";
