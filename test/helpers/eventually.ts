/** Asks again until the answer is true; rejects at the deadline (ms). For what gives no event to wait for. */
export async function eventually(ask: () => Promise<boolean> | boolean, deadline = 10_000): Promise<void> {
  const until = performance.now() + deadline;
  let failure: unknown;
  while (performance.now() < until) {
    try {
      if (await ask()) return;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${deadline} ms: ${String(ask)}`, { cause: failure });
}
