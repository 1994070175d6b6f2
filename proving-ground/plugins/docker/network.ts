import type { Resource } from "../provider/plugin.ts";
import { BOOLEAN, LABELS, STRING, TEXTS } from "./attributes.ts";
import { type Daemon, isNotFound } from "./connection.ts";
import { dockerResource, type Label, labelList, labelMap, untilFree } from "./dockerResource.ts";

interface NetworkInputs {
  readonly name: string;
  readonly labels?: readonly Label[];
  readonly driver?: string;
  readonly options?: { readonly [name: string]: string };
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly ingress?: boolean;
  readonly ipv6?: boolean;
  readonly ipamDriver?: string;
  readonly ipamOptions?: { readonly [name: string]: string };
  readonly ipamConfigs?: readonly IpamConfig[];
}

interface IpamConfig {
  readonly subnet?: string;
  readonly ipRange?: string;
  readonly gateway?: string;
  readonly auxAddress?: { readonly [name: string]: string };
}

/** `docker:index/network:Network`. */
export function network(current: () => Daemon): Resource {
  return dockerResource<NetworkInputs>(current, {
    attributes: {
      name: { shape: STRING, required: true, replaces: true },
      labels: { ...LABELS, replaces: true },
      driver: { shape: STRING, computed: true, replaces: true },
      options: { shape: TEXTS, computed: true, replaces: true },
      internal: { shape: BOOLEAN, computed: true, replaces: true },
      attachable: { shape: BOOLEAN, replaces: true },
      ingress: { shape: BOOLEAN, replaces: true },
      ipv6: { shape: BOOLEAN, replaces: true },
      ipamDriver: { shape: STRING, unset: "default", replaces: true },
      ipamOptions: { shape: TEXTS, replaces: true },
      ipamConfigs: {
        shape: {
          kind: "list",
          of: {
            kind: "object",
            fields: {
              subnet: { shape: STRING },
              ipRange: { shape: STRING },
              gateway: { shape: STRING },
              auxAddress: { shape: TEXTS },
            },
          },
        },
        unordered: true,
        computed: true,
        replaces: true,
      },
    },
    outputs: ["scope"],
    autoName: true,
    meta: { schemaVersion: "1" },

    async create(inputs, { client }) {
      const { ipamDriver, ipamConfigs, ipamOptions } = inputs;
      const created = await client.createNetwork({
        Name: inputs.name,
        // The daemon of before API 1.44 would make a second one of the same name.
        CheckDuplicate: true,
        Labels: labelMap(inputs.labels),
        Options: { ...inputs.options },
        Internal: inputs.internal ?? false,
        Attachable: inputs.attachable ?? false,
        Ingress: inputs.ingress ?? false,
        EnableIPv6: inputs.ipv6 ?? false,
        ...(inputs.driver && { Driver: inputs.driver }),
        IPAM: {
          Driver: ipamDriver ?? "default",
          ...(ipamOptions && { Options: { ...ipamOptions } }),
          Config: (ipamConfigs ?? []).map(({ subnet, ipRange, gateway, auxAddress }) => ({
            ...(subnet && { Subnet: subnet }),
            ...(ipRange && { IPRange: ipRange }),
            ...(gateway && { Gateway: gateway }),
            ...(auxAddress && { AuxiliaryAddresses: { ...auxAddress } }),
          })),
        },
      });
      return created.id;
    },

    async read(id, _, { client }) {
      const found = await client
        .getNetwork(id)
        .inspect()
        .catch((error) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
      if (found === undefined) return undefined;
      return {
        name: found.Name,
        labels: labelList(found.Labels),
        driver: found.Driver,
        options: found.Options ?? {},
        internal: found.Internal,
        attachable: found.Attachable,
        ingress: found.Ingress,
        ipv6: found.EnableIPv6,
        ipamDriver: found.IPAM?.Driver ?? "default",
        ipamOptions: found.IPAM?.Options ?? {},
        scope: found.Scope,
        ipamConfigs: (found.IPAM?.Config ?? []).map((config: IpamFound) => ({
          subnet: config.Subnet ?? "",
          ipRange: config.IPRange ?? "",
          gateway: config.Gateway ?? "",
          auxAddress: { ...config.AuxiliaryAddresses } as { [name: string]: string },
        })),
      };
    },

    remove: (id, _, { client }) =>
      untilFree(() => client.getNetwork(id).remove(), /has active endpoints/i),
  });
}

interface IpamFound {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: { readonly [name: string]: string | undefined };
}
