import type { Asking as Given } from '../api/messenger.js';
import type { Envelope } from '../ipc/messages.js';
import { ClusterError, fromWire } from '../kit/errors.js';
import { TimeLimits } from '../kit/time.js';

/** A request, and who waits for its answer. */
export interface Asking extends Given {
  signal?: AbortSignal | undefined;
  /** Of the signal. */
  aborted?: () => void;
}

/** What this process has asked others, until each is answered or given up. */
export class Asked {
  readonly #waiting = new Map<number, Asking>();
  readonly #deadlines = new TimeLimits<number>((request) => this.#late(request));
  readonly #forget: (request: number) => void;
  #next = 1;

  /** `forget`: nobody waits for the answer to this request any more. */
  constructor(forget: (request: number) => void) {
    this.#forget = forget;
  }

  /** Gives its number. @throws the signal's reason */
  add(asking: Asking): number {
    const { signal } = asking;
    signal?.throwIfAborted();
    const request = this.#next++;
    this.#waiting.set(request, asking);
    this.#deadlines.add(request, asking.timeout);
    if (signal) {
      asking.aborted = () => this.giveUp(request, signal.reason);
      signal.addEventListener('abort', asking.aborted, { once: true });
    }
    return request;
  }

  answered({ data, error }: Envelope, request: number): void {
    const asking = this.#take(request);
    if (error) asking?.reject(fromWire(error));
    else asking?.resolve(data);
  }

  giveUp(request: number, error: unknown): void {
    this.#forget(request);
    this.#take(request)?.reject(error);
  }

  #late(request: number): void {
    const { action, timeout } = this.#waiting.get(request) as Asking;
    this.giveUp(request, new ClusterError('ERR_CLUSTER_REQUEST_TIMEOUT', `request "${action}" was not answered within ${timeout} ms`));
  }

  #take(request: number): Asking | undefined {
    const asking = this.#waiting.get(request);
    if (!asking) return undefined;
    this.#waiting.delete(request);
    this.#deadlines.delete(request, asking.timeout);
    if (asking.aborted) asking.signal?.removeEventListener('abort', asking.aborted);
    return asking;
  }
}
