import type { OpenTelemetryInput, ProxiesInput } from "./hostSchema.ts";

/** The environment of a buildkitd. */
export function daemonEnvironment(
  proxies: ProxiesInput | undefined,
  telemetry: OpenTelemetryInput | undefined,
): Record<string, string> {
  const attributes = Object.entries(telemetry?.resourceAttributes ?? {})
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join(",");
  const variables: Record<string, string | undefined> = {
    HTTP_PROXY: proxies?.http,
    HTTPS_PROXY: proxies?.https,
    NO_PROXY: proxies?.no?.join(","),
    OTEL_EXPORTER_OTLP_ENDPOINT: telemetry?.endpoint,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: telemetry?.tracesEndpoint,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: telemetry?.metricsEndpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: telemetry?.protocol,
    OTEL_SERVICE_NAME: telemetry?.serviceName,
    OTEL_RESOURCE_ATTRIBUTES: attributes,
    OTEL_IGNORE_ERROR: telemetry?.ignoreErrors ? "true" : undefined,
  };
  const set = Object.entries(variables).filter(([, value]) => value);
  return Object.fromEntries(set) as Record<string, string>;
}
