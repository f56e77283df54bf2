import { rmSync, statSync } from 'node:fs';
import net from 'node:net';

/** Removes a unix socket that a dead process has left behind: nobody could listen there any more. */
export async function removeStaleSocket(file: string): Promise<void> {
  if (statSync(file, { throwIfNoEntry: false })?.isSocket() && !await answers(file)) rmSync(file, { force: true });
}

function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  });
}
