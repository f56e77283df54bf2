/** How often is looked, ms. */
const LOOK = 20;

/** Waits until a look gives something other than null, undefined or false, and resolves with it; what the last look threw is told. */
export async function eventually<Found>(
  look: () => Found | Promise<Found>, { timeout = 10_000, what = String(look) }: { timeout?: number; what?: string } = {},
): Promise<Exclude<Found, null | undefined | false>> {
  const end = performance.now() + timeout;
  for (let last: unknown; ;) {
    try {
      const found = await look();
      if (found !== null && found !== undefined && found !== false) return found as Exclude<Found, null | undefined | false>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not within ${timeout} ms: ${what}`, { cause: last });
    await new Promise((resolve) => { setTimeout(resolve, LOOK); });
  }
}
