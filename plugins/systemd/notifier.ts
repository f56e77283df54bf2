import { execFile } from 'node:child_process';
import type { Logger } from '../../lib/index.js';

/** What one notification may take, ms: systemd may be as busy as we are. */
const PATIENCE = 5_000;

/**
 * Tells systemd, one thing after the other. Node has no unix datagram sockets, so `systemd-notify` says it for us, a process
 * each time; the unit needs `NotifyAccess=all` for that.
 */
export class Notifier {
  readonly #socket: string;
  readonly #logger: Logger;
  #queue: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(socket: string, logger: Logger) {
    this.#socket = socket;
    this.#logger = logger;
  }

  /** Resolves when all that was said so far has been delivered, or could not be. */
  get said(): Promise<void> {
    return this.#queue;
  }

  /** `READY=1`, `STATUS=...`: one notification with all of them. */
  say(...assignments: string[]): void {
    this.#queue = this.#queue.then(() => this.#send(assignments));
  }

  #send(assignments: string[]): Promise<void> {
    return new Promise((resolve) => {
      const env = { ...process.env, NOTIFY_SOCKET: this.#socket };
      execFile('systemd-notify', assignments, { env, timeout: PATIENCE }, (error, _out, text) => {
        if (error && !this.#failed) {
          this.#failed = true;
          const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'systemd-notify is not installed' : text.trim() || error.message;
          this.#logger.warn(`systemd cannot be told how the service is: ${why}`);
        }
        resolve();
      });
    });
  }
}
