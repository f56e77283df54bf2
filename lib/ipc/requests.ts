import { ClusterError, fromWire, type ErrorData } from '../kit/errors.js';

export interface RequestOptions {
  /** Milliseconds. */
  timeout: number;
  /** What the answer has to be; one that is not, from a process that is not trusted, breaks the rules. */
  valid?: (answer: unknown) => boolean;
}

interface Asked {
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
  type: string;
  valid: RequestOptions['valid'];
}

export const gone = () => new ClusterError('ERR_CLUSTER_CHANNEL_CLOSED', 'the other process is gone');

/** What was asked over a channel and is not answered yet, each with its deadline. */
export class Requests {
  readonly #asked = new Map<number, Asked>();
  #next = 1;

  /** `write` sends the number along; false: it cannot. */
  ask(type: string, { timeout, valid }: RequestOptions, write: (id: number) => boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new ClusterError('ERR_CLUSTER_REQUEST_TIMEOUT', `"${type}" was not answered within ${timeout} ms`));
      }, timeout);
      this.#asked.set(id, { resolve, reject, timer, type, valid });
      try {
        if (!write(id)) this.#take(id)?.reject(gone());
      } catch (error) {
        this.#take(id)?.reject(error as Error);
      }
    });
  }

  /** Says what is wrong with an answer, where it is looked at; one that nobody waits for is left alone. */
  answered(id: number, value: unknown, look: boolean): string | null {
    const asked = this.#take(id);
    if (!asked) return null;
    if (look && asked.valid && !asked.valid(value)) {
      asked.reject(gone());
      return `its answer to "${asked.type}" is not as it was declared`;
    }
    asked.resolve(value);
    return null;
  }

  refused(id: number, error: ErrorData): void {
    this.#take(id)?.reject(fromWire(error));
  }

  /** The other side is gone. */
  end(): void {
    for (const id of [...this.#asked.keys()]) this.#take(id)?.reject(gone());
  }

  #take(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    if (!asked) return undefined;
    this.#asked.delete(id);
    clearTimeout(asked.timer);
    return asked;
  }
}
