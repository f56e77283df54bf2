import net from 'node:net';
import tls from 'node:tls';

/** Where to, and how. Certificates are the fixtures' own, so none is verified. */
export interface Target { port: number; host?: string; path?: string; secure?: boolean; alpn?: string[] }

/** How a request can be lost. `refused` is a connection that could not be made, `wrong` an answer to something else. */
export type Loss = 'reset' | 'refused' | 'hang' | 'truncated' | 'wrong' | 'closed';

/** What one kind of client saw. */
export class Tally {
  ok = 0;
  /** Refused in a way that says "not processed, send it again" (HTTP/2 REFUSED_STREAM, GOAWAY). */
  retrySafe = 0;
  connections = 0;
  /** Longest answer in ms. */
  longest = 0;
  readonly lost: Record<Loss, number> = { reset: 0, refused: 0, hang: 0, truncated: 0, wrong: 0, closed: 0 };
  readonly samples: string[] = [];

  get losses(): number {
    return Object.values(this.lost).reduce((sum, n) => sum + n, 0);
  }

  answered(took: number): void {
    this.ok++;
    if (took > this.longest) this.longest = took;
  }

  lose(error: unknown): void {
    const { kind, message } = error instanceof Lost ? error : { kind: 'wrong' as const, message: String((error as Error).stack) };
    this.lost[kind]++;
    if (this.samples.length < 20) this.samples.push(`${new Date().toISOString()} ${kind}: ${message}`);
  }
}

export class Lost extends Error {
  constructor(readonly kind: Loss, message: string) {
    super(message);
  }
}

export interface RawResponse {
  status: number; headers: Map<string, string>; body: Buffer;
  /** No further request on this connection. */
  close: boolean;
}

interface Expectation { method: string; settle(result: RawResponse | Lost): void }

/**
 * One HTTP/1.1 connection on a bare socket. Nothing is sent again behind the caller's back: every reset, refusal, hang,
 * truncation and surplus byte rejects a request with {@link Lost}. It does what a correct client does and no more: it
 * honours `Connection: close`, and a close between two requests is no loss.
 */
export class RawConnection {
  /** May take another request. */
  usable = true;
  readonly socket: net.Socket;
  readonly #expected: Expectation[] = [];
  #buffer: Buffer = Buffer.alloc(0);
  #opened = false;
  #closing = false;

  constructor(target: Target) {
    const where = target.path ? { path: target.path } : { host: target.host ?? '127.0.0.1', port: target.port };
    this.socket = target.secure
      ? tls.connect({ ...where, rejectUnauthorized: false, servername: 'localhost', ALPNProtocols: target.alpn ?? ['http/1.1'] })
      : net.connect(where);
    this.socket.setNoDelay(true);
    this.socket.once(target.secure ? 'secureConnect' : 'connect', () => { this.#opened = true; });
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.socket.on('end', () => this.#ended(null));
    this.socket.on('error', (error: NodeJS.ErrnoException) => this.#ended(error));
    this.socket.on('close', () => this.#ended(null));
  }

  /** Writes a request (or a batch of them, in one write) and resolves with each answer in order. */
  send(bytes: Buffer | string, methods: string[], deadline: number): Promise<RawResponse>[] {
    const answers = methods.map((method) => new Promise<RawResponse>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Lost('hang', `no answer within ${deadline} ms`));
        this.destroy();
      }, deadline);
      this.#expected.push({ method, settle: (result) => {
        clearTimeout(timer);
        if (result instanceof Lost) reject(result);
        else resolve(result);
      } });
    }));
    this.socket.write(bytes);
    return answers;
  }

  destroy(): void {
    this.usable = false;
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const expected = this.#expected[0];
      if (!expected) {
        if (this.#buffer.length > 0) this.usable = false;
        return;
      }
      const parsed = parseResponse(this.#buffer, expected.method);
      if (parsed === 'malformed') {
        return this.#ended(Object.assign(new Error(`not HTTP: ${this.#buffer.subarray(0, 80).toString('latin1')}`), { code: 'WRONG' }));
      }
      if (parsed === 'more') return;
      this.#buffer = this.#buffer.subarray(parsed.length);
      if (parsed.response.status < 200 && parsed.response.status !== 101) continue;
      this.#expected.shift();
      if (parsed.response.close) {
        this.usable = false;
        this.#closing = true;
      }
      expected.settle(parsed.response);
    }
  }

  #ended(error: NodeJS.ErrnoException | null): void {
    this.usable = false;
    const partial = this.#buffer.length > 0;
    for (const [at, { settle }] of this.#expected.splice(0).entries()) {
      if (error?.code === 'WRONG') settle(new Lost('wrong', error.message));
      else if (!this.#opened) settle(new Lost('refused', error?.message ?? 'closed before it was open'));
      else if (at === 0 && partial) settle(new Lost('truncated', `after ${this.#buffer.length} bytes${error ? `, ${error.message}` : ''}`));
      else if (error) settle(new Lost('reset', error.message));
      else settle(new Lost('closed', this.#closing ? 'answers were missing behind "Connection: close"' : 'closed without an answer'));
    }
    if (!this.socket.destroyed) this.socket.destroy();
  }
}

/** One answer off the front of `data`, `more` when it is not all there, `malformed` when it is none. */
export function parseResponse(data: Buffer, method: string): { response: RawResponse; length: number } | 'more' | 'malformed' {
  const headEnd = data.indexOf('\r\n\r\n');
  if (headEnd < 0) return data.length > 65_536 ? 'malformed' : 'more';
  const [statusLine = '', ...lines] = data.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
  if (!status) return 'malformed';
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  }));
  const answer = (body: Buffer, length: number) => ({
    response: { status, headers, body, close: /\bclose\b/i.test(headers.get('connection') ?? '') },
    length,
  });
  const start = headEnd + 4;
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return answer(Buffer.alloc(0), start);
  if (headers.get('transfer-encoding') === 'chunked') {
    const chunked = parseChunked(data, start);
    return typeof chunked === 'string' ? chunked : answer(chunked.body, chunked.end);
  }
  const length = headers.get('content-length');
  if (length === undefined) return 'malformed';
  const end = start + Number(length);
  return data.length < end ? 'more' : answer(data.subarray(start, end), end);
}

function parseChunked(data: Buffer, from: number): { body: Buffer; end: number } | 'more' | 'malformed' {
  const chunks: Buffer[] = [];
  for (let at = from; ;) {
    const lineEnd = data.indexOf('\r\n', at);
    if (lineEnd < 0) return 'more';
    const size = parseInt(data.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) return 'malformed';
    const end = lineEnd + 2 + size + 2;
    if (data.length < end) return 'more';
    if (data.toString('latin1', end - 2, end) !== '\r\n') return 'malformed';
    if (size === 0) return { body: Buffer.concat(chunks), end };
    chunks.push(data.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = end;
  }
}

/** Head of a request; a body goes behind it. */
export function requestHead(method: string, path: string, headers: Record<string, string | number> = {}): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`
    + `${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** One request on a connection of its own. */
export async function once(
  target: Target, method: string, path: string,
  options: { headers?: Record<string, string>; body?: Buffer | string; deadline?: number } = {},
): Promise<RawResponse> {
  const connection = new RawConnection(target);
  const body = options.body ?? '';
  const head = requestHead(method, path, {
    Connection: 'close', ...(body.length ? { 'Content-Length': Buffer.byteLength(body) } : {}), ...options.headers,
  });
  try {
    return await connection.send(Buffer.concat([Buffer.from(head), Buffer.from(body)]), [method], options.deadline ?? 10_000)[0]!;
  } finally {
    connection.destroy();
  }
}
