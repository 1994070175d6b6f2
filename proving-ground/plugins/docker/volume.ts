import type { Resource } from "../provider/plugin.ts";
import { LABELS, STRING, TEXTS } from "./attributes.ts";
import { type Daemon, isNotFound } from "./daemonOf.ts";
import { dockerResource, type Label, labelList, labelMap, untilFree } from "./dockerResource.ts";

interface VolumeInputs {
  readonly name: string;
  readonly driver?: string;
  readonly driverOpts?: { readonly [name: string]: string };
  readonly labels?: readonly Label[];
}

/** `docker:index/volume:Volume`. */
export function volume(current: () => Daemon): Resource {
  return dockerResource<VolumeInputs>(current, {
    attributes: {
      name: { shape: STRING, computed: true, replaces: true },
      driver: { shape: STRING, computed: true, replaces: true },
      driverOpts: { shape: TEXTS, replaces: true },
      labels: { ...LABELS, replaces: true },
    },
    outputs: ["mountpoint"],
    autoName: true,
    meta: { schemaVersion: "1" },

    async create({ name, driver, driverOpts, labels }, { client }) {
      await client.createVolume({
        Name: name,
        Labels: labelMap(labels),
        ...(driver && { Driver: driver }),
        ...(driverOpts && { DriverOpts: { ...driverOpts } }),
      });
      return name;
    },

    async read(id, _, { client }) {
      const found = await client
        .getVolume(id)
        .inspect()
        .catch((error) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
      return (
        found && {
          name: found.Name,
          driver: found.Driver,
          driverOpts: found.Options ?? {},
          labels: labelList(found.Labels),
          mountpoint: found.Mountpoint,
        }
      );
    },

    remove: (id, _, { client }) =>
      untilFree(() => client.getVolume(id).remove({ force: true }), /volume is in use/i),
  });
}
