import * as pulumi from "@pulumi/pulumi";

/**
 * The options of a component that was called `formerName`, by which its state, and that of its children, is known. What
 * has a slash was another stack's, whose state is not ours.
 */
export function renamed(
  opts: pulumi.ComponentResourceOptions,
  formerName: string | undefined,
): pulumi.ComponentResourceOptions {
  if (formerName === undefined || formerName.includes("/")) return opts;
  return pulumi.mergeOptions(opts, { aliases: [{ name: formerName }] });
}
