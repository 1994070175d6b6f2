import type { Plugin } from "../provider/plugin.ts";
import { type Clock, certRequest, locallySignedCert, selfSignedCert } from "./certificates.ts";
import { privateKey } from "./privateKey.ts";

/** Stands in for the official plugin `tls`, with the resources that this project uses. */
export function tls(clock: Clock = () => new Date()): Plugin {
  return {
    name: "tls",
    version: "5.5.1",
    acceptsSecrets: false,
    providerInputs: {},
    resources: {
      "tls:index/privateKey:PrivateKey": privateKey,
      "tls:index/certRequest:CertRequest": certRequest,
      "tls:index/selfSignedCert:SelfSignedCert": selfSignedCert(clock),
      "tls:index/locallySignedCert:LocallySignedCert": locallySignedCert(clock),
    },
  };
}
