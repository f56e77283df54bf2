import { ClusterError } from '../kit/errors.js';

/** The plugin whose code runs just now, in a tap or as a part. */
let speaker: string | undefined;

/** Channel -> type -> the plugin that handles it; undefined: we do. */
const handlers = new WeakMap<object, Map<string, string | undefined>>();

/** Runs what a plugin has given: whatever types it declares meanwhile are its own. */
export function speakingAs<T>(plugin: string | undefined, run: () => T): T {
  const before = speaker;
  speaker = plugin;
  try {
    return run();
  } finally {
    speaker = before;
  }
}

/** The same up to its end where it is not done at once; for what runs alone, as parts do one after the other. */
export async function speakingThrough(plugin: string, run: () => Promise<void>): Promise<void> {
  const before = speaker;
  speaker = plugin;
  try {
    await run();
  } finally {
    speaker = before;
  }
}

const named = (plugin: string | undefined): string => plugin === undefined ? 'hatchery itself' : `plugin "${plugin}"`;

/** One handler a type: a second one would silence the first. @throws ClusterError ERR_CLUSTER_PLUGIN with both names */
export function declareType(channel: object, type: string): void {
  const types = handlers.get(channel) ?? new Map<string, string | undefined>();
  handlers.set(channel, types);
  if (types.has(type)) {
    const first = types.get(type);
    const whose = first === speaker ? 'of which it has one' : `which ${named(first)} handles`;
    throw new ClusterError('ERR_CLUSTER_PLUGIN', `${named(speaker)} declares a second handler for messages "${type}", ${whose} already`);
  }
  types.set(type, speaker);
}
