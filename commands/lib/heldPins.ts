/** A pin that stays behind. */
export interface HeldPin {
  /** The newest version that the reason is about; a newer one is a reason to look again. */
  seen: string;
  reason: string;
}

/** The pins that stay behind, by name. `npm run pins` shows the reasons. */
export const heldPins: Readonly<Record<string, HeldPin>> = {
  "@types/node": { seen: "26.6.6", reason: "in step with node" },
  emulate: { seen: "1.0.2", reason: "1.x is another program of this name" },
  "google-protobuf": {
    seen: "4.0.3",
    reason: "the messages are of @pulumi/pulumi's own copy, which is 3.x",
  },
  node: { seen: "26.10.0", reason: "24 is the line with long-term support that is tested" },
  rootlesskit: { seen: "v3.3.0", reason: "BuildKit v0.34.2 is built and tested with v3.2.0" },
  typescript: {
    seen: "7.0.2",
    reason: "Pulumi's analyzer of packages calls the JavaScript API, which 7 does not have",
  },
};
