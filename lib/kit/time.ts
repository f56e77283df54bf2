/**
 * Runs `task` with a time limit in ms; rejects with `late()` when it is over. The task itself goes on: what it does then is
 * nobody's business any more. The timer ends with it.
 */
export async function inTime<T>(limit: number, task: () => Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(late()), limit); });
  try {
    return await Promise.race([task(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with the promise, or after `limit` ms: true when the promise was first. A rejection is passed on. */
export async function atMost(limit: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => { timer = setTimeout(() => resolve(false), limit); });
  try {
    return await Promise.race([promise.then(() => true), over]);
  } finally {
    clearTimeout(timer);
  }
}
