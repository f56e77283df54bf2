/**
 * A server whose output nobody reads any more (`| head`, a terminal that was closed) serves on: EPIPE would end each worker
 * at its next line. The streams themselves are made when they are used, as that costs a start a millisecond each.
 */
export function outliveReaders(): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const lazy = Object.getOwnPropertyDescriptor(process, name) as PropertyDescriptor & { get(): NodeJS.WriteStream };
    let met = false;
    Object.defineProperty(process, name, {
      ...lazy,
      get() {
        const stream = lazy.get.call(process);
        if (!met) stream.on('error', () => {});
        met = true;
        return stream;
      },
    });
  }
}
