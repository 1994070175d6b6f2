/** A build of a distribution's says `v0.34.2+ds1`. */
export function sameVersion(running: string, wanted: string): boolean {
  const plain = (version: string) => version.replace(/^v/, "").split("+")[0];
  return plain(running) === plain(wanted);
}
