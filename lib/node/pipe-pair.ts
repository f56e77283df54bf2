import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { natives, type NativePipe } from './handle-pipe.js';
import type { RawHandle } from './raw-handle.js';

export interface PipePair {
  ours: NativePipe;
  /** To be sent to the other process, and closed here. */
  theirs: RawHandle;
}

/**
 * Two connected ends of a pipe. Node has no socketpair(), so one end connects to a socket in a directory of our own, which is
 * gone again in the same turn of the event loop. Null where there is no such place or no such pipe (Windows, Node's
 * permission model).
 */
export async function pipePair(): Promise<PipePair | null> {
  if (process.platform === 'win32') return null;
  try {
    return await connected();
  } catch {
    return null;
  }
}

function connected(): Promise<PipePair> {
  const { Pipe, PipeConnectWrap, constants } = natives();
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-'));
  const server = new Pipe(constants.SERVER);
  const ours = new Pipe(constants.IPC);
  try {
    const file = path.join(dir, 's');
    const failed = server.bind(file) || server.listen(1) || ours.connect(new PipeConnectWrap(), file);
    if (failed) throw new Error(`error ${failed}`);
  } catch (error) {
    server.close();
    ours.close();
    throw error;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return new Promise((resolve, reject) => {
    server.onconnection = (error, theirs) => {
      server.close();
      if (!error && theirs) return resolve({ ours, theirs });
      ours.close();
      reject(new Error(`error ${error}`));
    };
  });
}
