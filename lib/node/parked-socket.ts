import net from 'node:net';
import { listen } from '../kit/sockets.js';
import { natives, openIpc, passHandle, pipePair, type NativePipe, type PipePair } from './handle-pipe.js';
import { BACKLOG, handleOf, type RawHandle } from './raw-sockets.js';

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

  /** The socket that was parked, accepting again with `onconnection`, where that is given; null when it is lost. */
  take(onconnection?: NonNullable<RawHandle['onconnection']>): Promise<RawHandle | null> {
    return new Promise((resolve) => {
      const pipe = this.#theirs;
      pipe.onread = () => {
        const handle = pipe.pendingHandle ?? null;
        pipe.pendingHandle = null;
        pipe.readStop?.();
        if (!handle || !onconnection) return resolve(handle);
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

/**
 * Second handles for sockets: each is closed without the other, and one that was never listened on here accepts nothing, whatever is
 * done with the other. One pipe for all, so one after the other.
 */
export class Doubles {
  #place: ParkingPlace | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #ended = false;

  /** There may be some, now or later. */
  get possible(): boolean {
    try {
      return process.platform !== 'win32' && natives() !== null;
    } catch {
      return false;
    }
  }

  /** Null where there is none: descriptors are short, or there can be no such pipe. Not to be closed before it has resolved. */
  of(handle: RawHandle): Promise<RawHandle | null> {
    const double = this.#last.then(async () => {
      const place = this.#place ??= await ParkingPlace.open();
      if (this.#ended) this.end();
      return !this.#ended && place?.park(handle) ? place.take() : null;
    });
    this.#last = double.catch(() => {});
    return double;
  }

  end(): void {
    this.#ended = true;
    this.#place?.close();
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
