import type { Config } from '../lib/config/schema.js';
import type { Argv } from './common-bin.js';
import { configFlags } from './flags.js';

/** What graceful-exit, and health-check for its port, have by themselves, ms. */
const GRACE = { timeout: 30_000, agentTimeout: 5_000, shutdownDelay: 0 };
const HEALTH = { checkTimeout: 2_000, host: '127.0.0.1', port: undefined as number | undefined };
/** What whoever stops us waits longer than we do, s. */
export const MARGIN = 5;

/** The options of a plugin as they will be: those that are given, over what it has by itself. */
function optionsOf<Options extends object>({ plugins }: Config, name: string, standard: Options): Options {
  const given = plugins[name];
  return { ...standard, ...(typeof given === 'object' ? given : {}) };
}

export const graceOf = (config: Config): typeof GRACE => optionsOf(config, 'graceful-exit', GRACE);
export const healthOf = (config: Config): typeof HEALTH => optionsOf(config, 'health-check', HEALTH);

/** Milliseconds as whole seconds, with a margin. */
export const secondsAbove = (ms: number): number => Math.ceil(ms / 1000) + MARGIN;

/** How long a stop may take, s: longer than the drain. */
export function stopSeconds({ timeout, agentTimeout, shutdownDelay }: typeof GRACE): number {
  return secondsAbove(timeout + agentTimeout + shutdownDelay);
}

/** How long a start may take, s: the agent's, then the workers'; of one process that alone. */
export const startSeconds = ({ startTimeout }: Config, steps = 2): number => secondsAbove(startTimeout * steps);

/** The flags of `start` among those that were typed, as words again; `change` is asked for each value. */
export function typedFlags(argv: Argv, change: (name: string, value: string) => string = (_, value) => value): string[] {
  return Object.entries(configFlags).flatMap(([name, { kind }]) => [argv[name] ?? []].flat().flatMap((value) => {
    if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
    const text = change(name, String(value));
    if (kind === 'maybe') return [text === '' ? `--${name}` : `--${name}=${text}`];
    return [`--${name}`, text];
  }));
}
