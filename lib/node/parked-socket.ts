import net from 'node:net';
import { listen } from '../kit/sockets.js';
import { openIpc, passHandle, pipePair, type NativePipe, type PipePair } from './handle-pipe.js';
import { handleOf, type RawHandle } from './raw-sockets.js';

/** As many connections wait in the kernel as on any server of Node's. */
const BACKLOG = 511;

/**
 * Where a listening socket is put while nobody is to accept from it: libuv accepts as long as a handle is open, and to close it
 * would refuse those who wait. On its way through a pipe it has no handle, and the kernel keeps it listening
 * (docs/decisions/own-acceptor.md). Costs two descriptors, which have to be had before they are short.
 */
export class ParkingPlace {
  readonly #ours: NativePipe;
  readonly #theirs: NativePipe;
  #open = true;

  private constructor({ ours, theirs }: PipePair) {
    this.#ours = ours;
    // What was accepted is never closed: the descriptor is that of the other.
    this.#theirs = openIpc(theirs);
    ours.unref();
    this.#theirs.unref();
  }

  /** Null where there can be no such pipe. */
  static async open(): Promise<ParkingPlace | null> {
    const pair = await pipePair();
    // Our end learns in the next turn that it is connected, and sends nothing before.
    await new Promise((resolve) => setImmediate(resolve));
    return pair && new ParkingPlace(pair);
  }

  /** Keeps its socket listening, when the caller closes the handle in this turn; false: it cannot be. */
  park(handle: RawHandle): boolean {
    return this.#open && passHandle(this.#ours, handle);
  }

  /** The socket that was parked, accepting again with `onconnection`; null when it is lost. */
  take(onconnection: NonNullable<RawHandle['onconnection']>): Promise<RawHandle | null> {
    return new Promise((resolve) => {
      const pipe = this.#theirs;
      pipe.onread = () => {
        const handle = pipe.pendingHandle ?? null;
        pipe.pendingHandle = null;
        pipe.readStop?.();
        if (!handle) return resolve(null);
        handle.onconnection = onconnection;
        resolve(handle.listen?.(BACKLOG) === 0 ? handle : null);
      };
      pipe.readStart();
    });
  }

  /** With what is parked in it: that listens no more. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#ours.close();
    this.#theirs.close();
  }
}

/** A parked socket takes connections, which are accepted when it is taken back. */
export async function probe(): Promise<string | null> {
  if (process.platform === 'win32') return null;
  const server = net.createServer();
  await listen(server, { port: 0, host: '127.0.0.1' });
  const { port } = server.address() as net.AddressInfo;
  const place = await ParkingPlace.open();
  const stay = setInterval(() => {}, 100);
  try {
    if (!place) return 'no pipe can be made';
    let accepted = 0;
    if (!place.park(handleOf(server) as RawHandle)) return 'a listening socket cannot be sent through a pipe';
    server.close();
    const client = net.connect(port, '127.0.0.1');
    await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
    const came = new Promise<void>((resolve) => {
      void place.take((error, one) => {
        accepted += Number(!error);
        one?.close();
        resolve();
      }).then((handle) => { if (!handle) resolve(); });
    });
    if (accepted > 0) return 'a parked socket accepts';
    await came;
    client.destroy();
    return accepted === 1 ? null : 'a parked socket cannot be taken back';
  } finally {
    clearInterval(stay);
    place?.close();
  }
}
