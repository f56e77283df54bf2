import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { cutAnswer } from '../../lib/runtime.js';
import { asObject, endToEnd } from './hop.js';
import type { Asking, Line, Link } from './link.js';

/** `again`: the owner saw nothing of it; `unanswered`: it may have, but may see it twice; `broken`: it may not. */
export type Outcome = 'done' | 'again' | 'unanswered' | 'broken';

/** Nothing of such a request changes anything, so it may be sent a second time. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
export const isSafe = ({ method }: IncomingMessage): boolean => SAFE.has(method ?? '');

/** Bytes of an answer that go out together with its head, as one text. */
const SMALL = 4 * 1024;

/** A request without a body, on its way to its owner over a link: its answer goes to its client as it comes. */
export class LinkedRequest implements Asking {
  sent = false;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #link: Link;
  #line!: Line;
  #outcome: ((outcome: Outcome) => void) | null;
  /** What has come last goes out with what comes next, which may be the end. */
  #held: Buffer | null = null;
  /** The head is written, and waits for the first bytes. */
  #status = 0;
  #isWhole = false;
  #isPaused = false;

  /** `outcome` is called once, within whatever it is known by. */
  constructor(
    request: IncomingMessage, response: ServerResponse, link: Link, outcome: (outcome: Outcome) => void,
  ) {
    this.#request = request;
    this.#response = response;
    this.#link = link;
    this.#outcome = outcome;
    response.on('close', this.#leave);
    // An answer that waits behind others of its connection does not hear of the client's end.
    request.on('aborted', this.#leave);
  }

  begin(hop: () => string, head: string): void {
    this.#line = this.#link.ask(this.#request.socket, hop, head, this);
  }

  head(status: number, message: string, headers: string[]): boolean {
    if (status < 200) {
      this.#guarded(() => this.#inform(status, headers));
      return false;
    }
    this.#status = status;
    this.#guarded(() => writeHead(this.#response, status, message, endToEnd(headers, { framing: false }), isFramed(headers)));
    return this.#request.method === 'HEAD';
  }

  body(bytes: Buffer): void {
    const before = this.#held;
    this.#held = bytes;
    if (before) this.#write(before);
  }

  pass(): void {
    const held = this.#held;
    if (this.#isWhole || !held) return;
    this.#held = null;
    this.#write(held);
  }

  end(trailers: string[]): void {
    this.#isWhole = true;
    const held = this.#held;
    this.#held = null;
    const response = this.#response;
    this.#guarded(() => {
      if (trailers.length > 0) response.addTrailers(asObject(trailers) as Record<string, string>);
      if (!held) response.end();
      // A head and a text of the same letters leave in one piece.
      else if (held.length <= SMALL && !('stream' in response)) response.end(held.toString('latin1'), 'latin1');
      else response.end(held);
    });
    this.#done('done');
  }

  lost(unseen: boolean): void {
    const response = this.#response;
    const begun = this.#status > 0 || response.headersSent;
    if (begun) cutAnswer(response);
    this.#done(begun || response.destroyed ? 'done' : unseen ? 'again' : isSafe(this.#request) ? 'unanswered' : 'broken');
  }

  /** The client has gone. */
  readonly #leave = (): void => {
    if (!this.#outcome) return;
    this.#link.cancel(this.#line, this);
    this.#done('done');
  };

  #done(outcome: Outcome): void {
    const tell = this.#outcome;
    if (!tell) return;
    this.#outcome = null;
    tell(outcome);
  }

  #write(bytes: Buffer): void {
    this.#guarded(() => {
      if (this.#response.write(bytes) || this.#isPaused) return;
      this.#isPaused = true;
      this.#link.pause(this.#line, this, true);
      this.#response.once('drain', () => {
        this.#isPaused = false;
        this.#link.pause(this.#line, this, false);
      });
    });
  }

  #inform(status: number, headers: string[]): void {
    const response = this.#response;
    if (status === 100) response.writeContinue();
    else if (status === 102) response.writeProcessing();
    else if (status === 103) {
      const { link, ...others } = asObject(headers);
      if (link !== undefined) response.writeEarlyHints({ ...others, link } as Record<string, string | string[]>);
    }
  }

  #guarded(write: () => void): void {
    try {
      if (!this.#response.destroyed) write();
    } catch {
      // HTTP/2 refuses what HTTP/1.1 lets pass.
      this.#response.destroy();
      this.#link.cancel(this.#line, this);
    }
  }
}

const isFramed = (headers: readonly string[]): boolean =>
  headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'content-length');

/** `isFramed`: the head tells how long the answer is. */
export function writeHead(
  response: ServerResponse, status: number, message: string | undefined, headers: string[], isFramed: boolean,
): void {
  if ('stream' in response) (response as ServerResponse).writeHead(status, asObject(headers));
  else response.writeHead(status, message, headers as unknown as OutgoingHttpHeaders);
  // A stream's head must not wait for its first bytes; that of any other answer goes with them, in one write.
  if (isFramed) return;
  if ('stream' in response) (response as ServerResponse).flushHeaders();
  // Not flushHeaders(), which writes a head in UTF-8 whatever it was in.
  else response.write('', 'latin1');
}
