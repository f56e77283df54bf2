import { createHash, randomBytes } from 'node:crypto';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { Lost, requestHead, type Tally, type Target } from './raw-client.js';

/** One HTTP/2 session at a time; a new one when the server says GOAWAY. Never sends a request again by itself. */
export class Http2Client {
  #session: http2.ClientHttp2Session | null = null;
  #opening: Promise<http2.ClientHttp2Session> | null = null;
  readonly #target: Target;
  readonly #tally: Tally;

  constructor(target: Target, tally: Tally) {
    this.#target = target;
    this.#tally = tally;
  }

  async get(path: string, deadline: number): Promise<Buffer> {
    const session = await this.#open();
    return new Promise((resolve, reject) => {
      let stream: http2.ClientHttp2Stream;
      try {
        stream = session.request({ ':path': path });
      } catch {
        // GOAWAY was read since: nothing was sent.
        reject(new RetrySafe('session is closing'));
        return;
      }
      const chunks: Buffer[] = [];
      let ended = false;
      const timer = setTimeout(() => {
        reject(new Lost('hang', `no answer within ${deadline} ms`));
        stream.close();
      }, deadline);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => { ended = true; });
      let failure = '';
      stream.on('error', (error) => { failure = error.message; });
      stream.on('close', () => {
        clearTimeout(timer);
        const { NGHTTP2_REFUSED_STREAM, NGHTTP2_NO_ERROR } = http2.constants;
        if (stream.rstCode === NGHTTP2_REFUSED_STREAM) reject(new RetrySafe('REFUSED_STREAM'));
        else if (stream.rstCode !== NGHTTP2_NO_ERROR) reject(new Lost('reset', `HTTP/2 code ${stream.rstCode} ${failure}`));
        else if (!ended || !stream.sentHeaders) reject(new Lost('truncated', `HTTP/2 stream after ${chunks.length} chunks`));
        else resolve(Buffer.concat(chunks));
      });
      stream.end();
    });
  }

  close(): void {
    this.#session?.destroy();
  }

  #open(): Promise<http2.ClientHttp2Session> | http2.ClientHttp2Session {
    const current = this.#session;
    if (current && !current.closed && !current.destroyed) return current;
    this.#opening ??= this.#connect().finally(() => { this.#opening = null; });
    return this.#opening;
  }

  async #connect(): Promise<http2.ClientHttp2Session> {
    const { host = '127.0.0.1', port, secure } = this.#target;
    this.#tally.connections++;
    const session = http2.connect(`${secure ? 'https' : 'http'}://${host}:${port}`, { rejectUnauthorized: false });
    session.on('error', () => {});
    await new Promise<void>((resolve, reject) => {
      session.once('connect', () => resolve());
      session.once('error', (error) => reject(new Lost('refused', error.message)));
    });
    this.#session = session;
    return session;
  }
}

export class RetrySafe extends Error {}

/**
 * Server-sent events: reads until the server ends the answer. Resolves with the number of events when the end is a proper one
 * (the last chunk) or a reset, after which a browser comes back; rejects when it is an end that may look whole.
 * `until` ends it from our side.
 */
export function readEvents(target: Target, path: string, until: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: target.host ?? '127.0.0.1', port: target.port });
    let text = '';
    let opened = false;
    const events = () => text.split('data: ').length - 1;
    const leave = () => {
      resolve(events());
      socket.destroy();
    };
    until.addEventListener('abort', leave, { once: true });
    socket.on('connect', () => {
      opened = true;
      socket.write(requestHead('GET', path, { Accept: 'text/event-stream' }));
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.endsWith('0\r\n\r\n')) leave();
    });
    socket.on('error', (error) => {
      if (opened && text !== '') leave();
      else reject(new Lost(opened ? 'reset' : 'refused', error.message));
    });
    socket.on('close', () => {
      until.removeEventListener('abort', leave);
      reject(new Lost('truncated', `event stream cut after ${events()} events`));
    });
  });
}

/** A WebSocket with small text frames: enough to echo and to see how it ends. */
export class RawWebSocket {
  /** How the connection ended: the code of a close frame, `end` without one, or the socket's error. */
  readonly closed: Promise<number | 'end' | Error>;
  readonly opened: Promise<void>;
  readonly #socket: net.Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #waiting: ((text: string) => void)[] = [];

  constructor(target: Target, path: string) {
    const key = randomBytes(16).toString('base64');
    const where = { host: target.host ?? '127.0.0.1', port: target.port };
    this.#socket = target.secure ? tls.connect({ ...where, rejectUnauthorized: false }) : net.connect(where);
    this.#socket.write(requestHead('GET', path, {
      Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13, 'Sec-WebSocket-Key': key,
    }));
    let code: number | undefined;
    this.closed = new Promise((resolve) => {
      this.#socket.on('error', resolve);
      this.#socket.on('close', () => resolve(code ?? 'end'));
    });
    this.opened = new Promise((resolve, reject) => {
      let head = '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      const onHead = (chunk: Buffer) => {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        this.#socket.off('data', onHead);
        if (!head.startsWith('HTTP/1.1 101') || !head.includes(accept)) return reject(new Error(`no upgrade: ${head}`));
        this.#socket.on('data', (data: Buffer) => { code = this.#frames(data) ?? code; });
        code = this.#frames(Buffer.from(head.slice(end + 4), 'latin1')) ?? code;
        resolve();
      };
      this.#socket.on('data', onHead);
      this.#socket.on('close', () => reject(new Error('closed before the upgrade')));
    });
    this.opened.catch(() => {});
  }

  /** Sends a text of at most 125 bytes and resolves with the next text that comes. */
  echo(text: string): Promise<string> {
    const payload = Buffer.from(text);
    const mask = randomBytes(4);
    this.#socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload.map((byte, at) => byte ^ mask[at % 4]!)]));
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      void this.closed.then((how) => reject(new Error(`closed: ${String(how)}`)));
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #frames(data: Buffer): number | undefined {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    while (this.#buffer.length >= 2) {
      const length = this.#buffer[1]! & 0x7f;
      if (this.#buffer.length < 2 + length) return undefined;
      const opcode = this.#buffer[0]! & 0x0f;
      const payload = this.#buffer.subarray(2, 2 + length);
      this.#buffer = this.#buffer.subarray(2 + length);
      if (opcode === 8) return payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      if (opcode === 1) this.#waiting.shift()?.(payload.toString());
    }
    return undefined;
  }
}
