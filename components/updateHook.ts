import * as pulumi from "@pulumi/pulumi";

/** A hook that only updates run. A preview does not tell the engine of it: for 200 hosts these calls take their time. */
export function updateHook(
  name: string,
  callback: pulumi.ResourceHookFunction,
): pulumi.ResourceHook[] {
  return pulumi.runtime.isDryRun() ? [] : [new pulumi.ResourceHook(name, callback)];
}
