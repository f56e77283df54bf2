import { Counter, Gauge, Registry } from 'prom-client';
import type { Status } from '../../lib/index.js';
import { definitions, type Counts, type Definition } from './definitions.js';

const registry = new Registry();
const metrics = definitions.map((definition) => [definition, create(definition)] as const);

function create({ name, help, type, labels = [] }: Definition): Counter | Gauge {
  const configuration = { name, help, labelNames: labels, registers: [registry] };
  return type === 'counter' ? new Counter(configuration) : new Gauge(configuration);
}

export const contentType: string = registry.contentType;

/** The status as Prometheus text. Its counters live in the master and the samples, so each is set anew, not counted up. */
export async function exposition(status: Status, counts: Counts): Promise<string> {
  for (const [{ labels: names = [], values }, metric] of metrics) {
    metric.reset();
    // What has labels and no value yet is left out; reset() would show what has none as 0.
    if (names.length === 0) metric.remove();
    for (const [labels, value] of values(status, counts)) {
      if (value !== null) metric.inc(Object.fromEntries(names.map((name, at) => [name, labels[at] as string])), value);
    }
  }
  return registry.metrics();
}
