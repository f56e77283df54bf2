import { Duplex } from 'node:stream';
import { slowPath } from './slow-paths.js';

/** Node's own parser of HTTP/1, which its client and its server read with. */
interface Parser {
  initialize(type: number, resource: object, maxHeaderSize: number): void;
  execute(bytes: Buffer): number | Error;
  finish(): number | Error | undefined;
  close(): void;
  [event: number]: (...args: never[]) => unknown;
}
interface Parsers {
  RESPONSE?: number;
  kOnHeaders?: number;
  kOnHeadersComplete?: number;
  kOnBody?: number;
  kOnMessageComplete?: number;
}

/** Who is told of an answer. Headers are names and values in turn, as they came. */
export interface AnswerSink {
  /** Of each head, also of those before the last one (1xx). `lasts`: the connection takes another request. True: no body follows. */
  head(status: number, message: string, headers: string[], lasts: boolean): boolean;
  body(bytes: Buffer): void;
  /** The message that `head` told of is whole. */
  end(trailers: string[]): void;
}

const NO_PARSER = 'Node has no parser of answers for us: requests between workers go through its client';
/** What its callback says to the parser. */
const NO_BODY = 1;

type Found = Required<Parsers> & (new() => Parser);
let parsers: Found | null | undefined;

/** The class of it, taken from a connection of a server that exists for that alone. */
async function findParsers(): Promise<Found | null> {
  const { default: http } = await import('node:http');
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  http.createServer({ keepAliveTimeout: 0 }).emit('connection', socket);
  const found = (socket as { parser?: Parser | null }).parser?.constructor as Parsers | undefined;
  socket.destroy();
  const events = [found?.RESPONSE, found?.kOnHeaders, found?.kOnHeadersComplete, found?.kOnBody, found?.kOnMessageComplete];
  return events.every((event) => Number.isInteger(event)) ? found as Found : null;
}

/** To be called once before the first parser is made; false: there is none, and the slow way is noted. */
export async function parsesAnswers(): Promise<boolean> {
  parsers ??= await findParsers();
  if (!parsers) slowPath(NO_PARSER);
  return parsers !== null;
}

/** Reads the answers of one connection, one after the other, without what Node's client does around it. */
export class AnswerParser {
  readonly #parser: Parser;
  #isClosed = false;
  /** What follows is no HTTP any more. */
  #isTurned = false;

  /** `longest`: bytes of a head. */
  constructor(sink: AnswerSink, longest: number) {
    const made = parsers as Found;
    const parser = this.#parser = new made();
    parser.initialize(made.RESPONSE, {}, longest);
    // Those of a head that has many come in several parts, and then not with the head; trailers come the same way.
    let parts: string[] = [];
    const all = (headers: string[] | undefined): string[] => {
      const came = headers ?? parts;
      parts = [];
      return came;
    };
    parser[made.kOnHeaders] = (some: string[]) => { parts.push(...some); };
    parser[made.kOnHeadersComplete] = (
      _major: number, _minor: number, headers: string[] | undefined, _method: unknown, _url: unknown,
      status: number, message: string, upgrade: boolean, lasts: boolean,
    ) => {
      this.#isTurned ||= upgrade;
      return sink.head(status, message, all(headers), lasts) ? NO_BODY : 0;
    };
    parser[made.kOnBody] = (bytes: Buffer) => sink.body(bytes);
    parser[made.kOnMessageComplete] = () => sink.end(all(undefined));
  }

  /** False: that is no answer, or one that nobody has asked for (101). */
  read(bytes: Buffer): boolean {
    return !(this.#parser.execute(bytes) instanceof Error) && !this.#isTurned;
  }

  /** The connection has ended, in order: so has an answer whose length nobody had told. False: it is not whole. */
  finish(): boolean {
    return !(this.#parser.finish() instanceof Error);
  }

  /** Not within what it calls. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#parser.close();
  }
}

/** An early hint, an answer in chunks with a trailer, many headers, one without a body, one that ends with its connection. */
export async function probe(): Promise<string | null> {
  if (!await parsesAnswers()) return 'a connection does not tell its parser (`socket.parser`), or that has other events';
  const seen: string[] = [];
  let isHead = false;
  const parser = new AnswerParser({
    head(status, message, headers, lasts) {
      seen.push(`${status} ${message} ${headers.length} ${lasts}`);
      return isHead;
    },
    body: (bytes) => { seen.push(bytes.toString('latin1')); },
    end: (trailers) => { seen.push(`end ${trailers.join()}`); },
  }, 64 * 1024);
  const reads: boolean[] = [];
  const read = (text: string): unknown => reads.push(parser.read(Buffer.from(text, 'latin1')));
  read('HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no');
  read('k\r\n0\r\nX-T: 1\r\n\r\n');
  read(`HTTP/1.1 404 Not\r\n${'A: b\r\n'.repeat(40)}Content-Length: 1\r\n\r\nx`);
  isHead = true;
  read('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n');
  isHead = false;
  read('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nrest');
  const isWhole = parser.finish();
  parser.close();
  const expected = '103 Early 2 true|end |200 OK 2 true|o|k|end X-T,1|404 Not 82 true|x|end |200 OK 2 true|end |200 OK 2 false|rest|end ';
  if (!isWhole || reads.includes(false) || seen.join('|') !== expected) return `answers are read otherwise: ${seen.join('|')}`;
  return probeFault();
}

/** What is no answer, and one that is cut, are told. */
function probeFault(): string | null {
  const sink: AnswerSink = { head: () => false, body() {}, end() {} };
  const [wrong, cut] = [new AnswerParser(sink, 1_024), new AnswerParser(sink, 1_024)];
  try {
    if (wrong.read(Buffer.from('no answer\r\n\r\n'))) return 'what is no answer is taken for one';
    cut.read(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx'));
    return cut.finish() ? 'an answer that is cut is taken for a whole one' : null;
  } finally {
    wrong.close();
    cut.close();
  }
}
