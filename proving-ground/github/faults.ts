import type { Answer } from "./api.ts";

/** The fault of a request. */
export type Fault =
  /** GitHub fails before it does anything. */
  | { readonly kind: "status"; readonly status: number; readonly message?: string }
  /** Refused until the limit of requests is reset. */
  | { readonly kind: "rate-limit"; readonly resetSeconds: number }
  /** Refused for too many requests at a time. */
  | { readonly kind: "secondary-rate-limit"; readonly retryAfterSeconds: number }
  /** Done, but the connection breaks before the answer. */
  | { readonly kind: "lost-answer" };

/** Which requests a fault meets, and how many of them. */
export interface FaultRule {
  readonly fault: Fault;
  /** As GitHub's description names it (`PUT /repos/{owner}/{repo}/topics`); every one when left out. */
  readonly operation?: string;
  /** Part of the path; every one when left out. */
  readonly path?: string;
  /** 1 unless said; Infinity for all. */
  readonly times?: number;
}

/** The faults that are still to come. */
export class Faults {
  #rules: { rule: FaultRule; left: number }[] = [];

  add(rule: FaultRule): void {
    this.#rules.push({ rule, left: rule.times ?? 1 });
  }

  clear(): void {
    this.#rules = [];
  }

  /** The fault that a request meets, which is spent by that. */
  take(operation: string, path: string): Fault | undefined {
    const found = this.#rules.find(
      ({ rule, left }) =>
        left > 0 && (rule.operation ?? operation) === operation && path.includes(rule.path ?? ""),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    return found.rule.fault;
  }
}

/** GitHub's answer in place of an effect. */
export function answerOf(fault: Exclude<Fault, { readonly kind: "lost-answer" }>): Answer {
  const documentation =
    "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";
  switch (fault.kind) {
    case "status":
      return { status: fault.status, body: { message: fault.message ?? "Server Error" } };
    case "rate-limit": {
      const reset = Math.ceil(Date.now() / 1000) + fault.resetSeconds;
      return {
        status: 403,
        body: { message: "API rate limit exceeded", documentation_url: documentation },
        headers: {
          "x-ratelimit-limit": "5000",
          "x-ratelimit-remaining": "0",
          "x-ratelimit-reset": String(reset),
        },
      };
    }
    case "secondary-rate-limit":
      return {
        status: 403,
        body: {
          message: "You have exceeded a secondary rate limit. Please wait a few minutes.",
          documentation_url: `${documentation}#about-secondary-rate-limits`,
        },
        headers: { "retry-after": String(fault.retryAfterSeconds) },
      };
  }
}
