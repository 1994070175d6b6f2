const HOUR_MS = 60 * 60 * 1000;

export interface Validity {
  readonly validityPeriodHours: number;
  readonly earlyRenewalHours: number;
}

/** Whether a certificate that ends at `validityEndTime` (RFC 3339) is to be replaced at `now`. */
export function isDue(validityEndTime: string, earlyRenewalHours: number, now: Date): boolean {
  const end = Date.parse(validityEndTime);
  if (Number.isNaN(end)) throw new Error(`validityEndTime ${validityEndTime} is no point in time`);
  return now.getTime() >= end - earlyRenewalHours * HOUR_MS;
}

/** Whether a certificate is due as soon as it is issued; such a one is replaced by every update. */
export function isBornDue({ validityPeriodHours, earlyRenewalHours }: Validity): boolean {
  return validityPeriodHours === 0 || earlyRenewalHours >= validityPeriodHours;
}

export function endOf(start: Date, { validityPeriodHours }: Validity): Date {
  return new Date(start.getTime() + validityPeriodHours * HOUR_MS);
}
