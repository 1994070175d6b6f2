import * as pulumi from "@pulumi/pulumi";

/**
 * The options of a component whose former name is `formerName`: the state knows the component and its children by that
 * name. A name with a slash belongs to another stack, whose state this one does not have.
 */
export function renamed(
  opts: pulumi.ComponentResourceOptions,
  formerName: string | undefined,
): pulumi.ComponentResourceOptions {
  if (formerName === undefined || formerName.includes("/")) return opts;
  return pulumi.mergeOptions(opts, { aliases: [{ name: formerName }] });
}
