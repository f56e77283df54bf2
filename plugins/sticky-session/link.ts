import net, { type Socket } from 'node:net';
import { AnswerParser, type AnswerSink } from '../../lib/runtime.js';
import { FrameReader, FrameWriter, Kind, PROTOCOL } from './link-frames.js';

/** A request that is on its way over a link, and takes its answer. */
export interface Asking extends AnswerSink {
  /** It has left this process. */
  sent: boolean;
  /** Nothing more comes, and it was not whole. `unseen`: the owner has not seen the request. */
  lost(unseen: boolean): void;
  /** All that has come at once is told. */
  pass(): void;
}

/** Lines that are kept for the next requests. */
const MOST_FREE = 256;
/** Bytes of a head: the owner's own Node has written it. */
const LONGEST_HEAD = 1024 * 1024;

/** One of the connections of a link: a request at a time. */
class Line implements AnswerSink {
  readonly id: number;
  readonly parser: AnswerParser;
  /** Null: it is free, or nobody waits for what comes. */
  asking: Asking | null = null;
  asked = 0;
  /** It takes no other request. */
  isOver = false;
  /** The owner has been told so. */
  isClosed = false;
  isPaused = false;
  #isLast = false;
  #isInformation = false;
  readonly #free: (line: Line) => void;

  constructor(id: number, free: (line: Line) => void) {
    this.id = id;
    this.parser = new AnswerParser(this, LONGEST_HEAD);
    this.#free = free;
  }

  head(status: number, message: string, headers: string[], lasts: boolean): boolean {
    this.#isInformation = status < 200;
    if (!this.#isInformation) this.#isLast = !lasts;
    return this.asking?.head(status, message, headers, lasts) ?? false;
  }

  body(bytes: Buffer): void {
    this.asking?.body(bytes);
  }

  end(trailers: string[]): void {
    if (this.#isInformation) return;
    const { asking } = this;
    this.asking = null;
    this.isOver ||= this.#isLast;
    this.#free(this);
    asking?.end(trailers);
  }
}

/** To one owner: requests without bodies, many at once on one connection, each with an answer that streams. */
export class Link {
  readonly #socket: Socket;
  readonly #out: FrameWriter;
  /** By their numbers; those that are null are free. */
  readonly #lines: (Line | null)[] = [];
  readonly #numbers: number[] = [];
  #free: Line[] = [];
  #unsent: Asking[] = [];
  readonly #clients = new Map<Socket, number>();
  readonly #clientNumbers: number[] = [];
  #underWay = 0;
  #retires = false;
  readonly #closed: () => void;

  /** `closed`: whoever wants something of this owner makes another one. */
  constructor(path: string, closed: () => void) {
    this.#closed = closed;
    // Those who wait keep this process alive, and not what could be asked.
    const socket = this.#socket = net.connect({ path }).unref();
    this.#out = new FrameWriter(socket, false, () => {
      for (const asking of this.#unsent) asking.sent = true;
      this.#unsent = [];
    });
    socket.once('connect', () => {
      socket.write(`GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: ${PROTOCOL}\r\n\r\n`);
      this.#out.open();
    });
    const reader = new FrameReader((kind, id, payload) => this.#take(kind, id, payload));
    socket.on('data', (chunk: Buffer) => reader.read(chunk));
    socket.on('error', () => {});
    socket.once('close', () => this.#end());
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#retires;
  }

  /** `hop`: what is told of a client's connection, once; `head`: all of an HTTP/1.1 request. */
  ask(client: Socket, hop: () => string, head: string, asking: Asking): Line {
    const known = this.#clients.get(client) ?? this.#introduce(client, hop());
    const kept = this.#free.pop();
    const line = kept ?? this.#open();
    line.asking = asking;
    line.asked++;
    this.#underWay++;
    this.#unsent.push(asking);
    this.#out.ask(kept ? Kind.ask : Kind.open, line.id, known, head);
    return line;
  }

  /** Nobody waits for its answer. */
  cancel(line: Line, asking: Asking): void {
    if (line.asking !== asking) return;
    line.asking = null;
    this.#underWay--;
    this.#close(line);
    this.#leave();
  }

  /** Its client takes no more for now. */
  pause(line: Line, asking: Asking, isPaused: boolean): void {
    if (line.asking === asking) this.#pause(line, isPaused);
  }

  #pause(line: Line, isPaused: boolean): void {
    if (line.isPaused === isPaused) return;
    line.isPaused = isPaused;
    this.#out.frame(isPaused ? Kind.pause : Kind.resume, line.id);
  }

  /** It takes no more requests, and goes with the last that is on its way. */
  retire(): void {
    this.#retires = true;
    this.#leave();
  }

  #leave(): void {
    if (this.#retires && this.#underWay === 0) this.#socket.destroy();
  }

  #introduce(client: Socket, hop: string): number {
    const number = this.#clientNumbers.pop() ?? this.#clients.size;
    this.#clients.set(client, number);
    this.#out.frame(Kind.client, number, hop, 'utf8');
    watch(client, this);
    return number;
  }

  forget(client: Socket): void {
    const number = this.#clients.get(client);
    if (number === undefined) return;
    this.#clients.delete(client);
    this.#clientNumbers.push(number);
    this.#out.frame(Kind.forget, number);
  }

  #open(): Line {
    const id = this.#numbers.pop() ?? this.#lines.length;
    return this.#lines[id] = new Line(id, (line) => this.#release(line));
  }

  #close(line: Line): void {
    line.isOver = true;
    if (line.isClosed) return;
    line.isClosed = true;
    this.#out.frame(Kind.close, line.id);
  }

  #release(line: Line): void {
    this.#underWay--;
    this.#pause(line, false);
    if (!line.isOver && this.#free.length < MOST_FREE) this.#free.push(line);
    else this.#close(line);
    this.#leave();
  }

  #take(kind: number, id: number, payload: Buffer): void {
    const line = this.#lines[id];
    if (!line) return;
    if (kind === Kind.bytes) {
      const { asking } = line;
      // What comes for one that was cancelled, or answers what nobody has asked, is not looked at.
      if (!asking) return;
      if (!line.parser.read(payload)) this.#lose(line, false);
      asking.pass();
    } else if (kind === Kind.end) {
      if (line.asking) line.parser.finish();
      this.#close(line);
    } else if (kind === Kind.gone) {
      line.isOver = line.isClosed = true;
      this.#lose(line, payload.readUInt32LE(0) < line.asked);
      if (this.#free.includes(line)) this.#free = this.#free.filter((one) => one !== line);
      this.#lines[id] = null;
      this.#numbers.push(id);
      setImmediate(() => line.parser.close());
    }
  }

  #lose(line: Line, unseen: boolean): void {
    const { asking } = line;
    line.asking = null;
    if (!asking) return;
    this.#underWay--;
    this.#close(line);
    asking.lost(unseen);
    this.#leave();
  }

  #end(): void {
    this.#closed();
    for (const client of this.#clients.keys()) unwatch(client, this);
    this.#clients.clear();
    this.#unsent = [];
    for (const line of this.#lines) {
      if (!line) continue;
      const { asking } = line;
      line.asking = null;
      line.isOver = true;
      setImmediate(() => line.parser.close());
      asking?.lost(!asking.sent);
    }
    this.#lines.length = 0;
  }
}
export type { Line };

/** Links that have been told of a client's connection: one listener for all of them. */
const watched = new WeakMap<Socket, Set<Link>>();

function watch(client: Socket, link: Link): void {
  let links = watched.get(client);
  if (!links) {
    watched.set(client, links = new Set());
    client.once('close', () => { for (const one of links as Set<Link>) one.forget(client); });
  }
  links.add(link);
}

function unwatch(client: Socket, link: Link): void {
  watched.get(client)?.delete(link);
}
