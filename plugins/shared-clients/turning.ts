import { isUnsendable } from './calls.js';
import type { Answer, Offers, Post } from './messages.js';
import { TIMEOUT } from './shape.js';
import type { Wanted } from './wants.js';

/** Milliseconds for one attempt to turn to a leader. */
export const ATTACH = 2_000;

export interface TurningNeeds {
  readonly name: string;
  readonly wanted: Wanted;
  readonly post: Post;
  warn(text: string, error?: unknown): void;
}

/** Tells a leader what is wanted here, each topic by itself: one that cannot be sent keeps no other from it. Null: it does not lead. */
export async function turnTo(pid: number, { name, wanted, post, warn }: TurningNeeds): Promise<Offers | null> {
  const { topics, events } = wanted;
  const [first, ...others] = await Promise.all([
    post.ask(pid, ['attach', name, { topics: topics.map(([key]) => key), events }], ATTACH),
    ...topics.map(([key, reg]) => post.ask(pid, ['subscribe', name, key, reg], ATTACH).catch((error: unknown): Answer => {
      if (!isUseless(error)) throw error;
      warn(`"${name}" cannot be subscribed to ${key}`, error);
      if (isUnsendable(error)) wanted.remove(key);
      return [];
    })),
  ]);
  return first === null || others.includes(null) ? null : first[0] as Offers;
}

/** Says once more what was published last here, as fast as it is read. What is newer by then stays the newest: see Publishing. */
export async function sayAgain(pid: number, { name, wanted, post }: TurningNeeds, isWanted: () => boolean): Promise<void> {
  for (const word of wanted.published.all()) {
    await post.room(pid);
    if (!isWanted()) return;
    post.ask(pid, ['publish', name, { ...word, again: true }], TIMEOUT).catch(() => {});
  }
  post.ask(pid, ['told', name], ATTACH).catch(() => {});
}

/** It would be no use to ask again. */
export const isUseless = (error: unknown): boolean =>
  isUnsendable(error) || (error as { code?: unknown } | undefined)?.code === 'ERR_CLUSTER_NOT_SHARED';
