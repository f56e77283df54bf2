import { Socket } from 'node:net';
import type { RawHandle } from '../../lib/index.js';
import { parseProxyHeader, type ProxiedPeer } from './proxy-header.js';

export type Outcome = { peer: ProxiedPeer | null } | { error: string };

/**
 * Reads the PROXY header off a raw handle and leaves every byte behind it in the kernel: `onread` takes a buffer of exactly
 * the size that is still missing. So the connection can be passed on as it is, to a TLS server as well, and nothing that was
 * read too much has to travel along. `timeout`: milliseconds for the whole header.
 */
export function readProxyHeader(handle: RawHandle, timeout: number, done: (outcome: Outcome) => void): void {
  let bytes = Buffer.alloc(0);
  let need = 12;
  let over = false;

  const end = (outcome: Outcome): false => {
    if (over) return false;
    over = true;
    clearTimeout(timer);
    // After this read is done with: Node stops reading when the callback has returned false.
    process.nextTick(() => {
      release(socket);
      done(outcome);
    });
    return false;
  };

  const timer = setTimeout(() => {
    (handle as { readStop?(): void }).readStop?.();
    end({ error: `no PROXY header within ${timeout} ms` });
  }, timeout);
  const socket = new Socket({
    handle,
    onread: {
      buffer: () => Buffer.allocUnsafe(need),
      callback: (count: number, buffer: Buffer) => {
        bytes = Buffer.concat([bytes, buffer.subarray(0, count)]);
        const header = parseProxyHeader(bytes);
        if (!('need' in header)) return end(header);
        need = header.need;
        return true;
      },
    },
  } as unknown as ConstructorParameters<typeof Socket>[0]);
  socket.on('end', () => end({ error: 'the connection ended within the PROXY header' }));
  socket.on('error', (error) => end({ error: error.message }));
}

/** The handle outlives the socket. */
function release(socket: Socket): void {
  (socket as unknown as { _handle: null })._handle = null;
  socket.destroy();
}
