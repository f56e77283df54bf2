import { messageOf } from '../../lib/kit/errors.js';
import { isObject } from '../../lib/kit/misuse.js';

/** https://www.jsonrpc.org/specification, as MCP has it on standard input and output: one message a line, no batches. */
type Id = string | number;
interface Request { jsonrpc: '2.0'; id?: Id; method: string; params?: Record<string, unknown> }

const CODES = { parse: -32_700, request: -32_600, method: -32_601, params: -32_602, internal: -32_603 } as const;

/** What is asked wrongly, as the protocol tells it. */
export class RpcError extends Error {
  readonly code: number;

  constructor(kind: keyof typeof CODES, message: string) {
    super(message);
    this.code = CODES[kind];
  }
}

/** Answers one method; `signal`: the client does not wait for it any more. */
export type Method = (params: Record<string, unknown>, signal: AbortSignal) => unknown;

/** Longer lines are no message of a client, and nobody keeps them, characters. */
const LONGEST = 4 * 1024 * 1024;
/** Requests at a time; each may be a process. */
const MOST = 32;

/**
 * Reads requests until the input ends or nobody reads the answers any more; resolves when all that were asked are answered.
 * `send`: false when nobody reads.
 */
export async function serveRpc(
  input: NodeJS.ReadStream, send: (line: string) => boolean, methods: ReadonlyMap<string, Method>,
): Promise<void> {
  const asked = new Map<Id, AbortController>();
  const under = new Set<Promise<void>>();
  const reply = (id: Id | null, answer: object): void => {
    if (!send(`${JSON.stringify({ jsonrpc: '2.0', id, ...answer })}\n`)) input.destroy();
  };
  const fail = (id: Id | null, error: unknown): void => {
    const { code, message } = error instanceof RpcError ? error : { code: CODES.internal, message: messageOf(error) };
    reply(id, { error: { code, message } });
  };
  const take = (line: string): void => {
    if (line.trim() === '') return;
    const request = parsed(line);
    if (request instanceof RpcError) return fail(null, request);
    if (request === null) return;
    const { id, method, params = {} } = request;
    if (method === 'notifications/cancelled') asked.get(params.requestId as Id)?.abort();
    if (id === undefined) return;
    const found = methods.get(method);
    if (!found) return fail(id, new RpcError('method', `unknown method: ${method}`));
    if (asked.size >= MOST) return fail(id, new RpcError('internal', `${MOST} requests are being answered already`));
    const controller = new AbortController();
    asked.set(id, controller);
    const done = (async () => found(params, controller.signal))()
      .then((result) => { if (!controller.signal.aborted) reply(id, { result }); }, (error: unknown) => {
        if (!controller.signal.aborted) fail(id, error);
      })
      .finally(() => {
        asked.delete(id);
        under.delete(done);
      });
    under.add(done);
  };
  await eachLine(input, take, () => fail(null, new RpcError('request', `a message is longer than ${LONGEST} characters`)));
  // Who asked and closed its end may read still; who has gone reads nothing.
  await Promise.all(under);
}

/** Null: an answer, which nothing here has asked for. */
function parsed(line: string): Request | RpcError | null {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return new RpcError('parse', 'not valid JSON');
  }
  if (!isObject(message)) return new RpcError('request', 'expected one object a line');
  if (message.method === undefined && ('result' in message || 'error' in message)) return null;
  const { jsonrpc, id, method, params } = message;
  const hasId = id === undefined || typeof id === 'string' || typeof id === 'number';
  if (jsonrpc !== '2.0' || !hasId || typeof method !== 'string' || (params !== undefined && !isObject(params))) {
    return new RpcError('request', 'expected { jsonrpc: "2.0", id, method, params }');
  }
  return message as unknown as Request;
}

async function eachLine(input: NodeJS.ReadStream, take: (line: string) => void, tooLong: () => void): Promise<void> {
  let rest = '';
  let skips = false;
  try {
    for await (const chunk of input.setEncoding('utf8')) {
      const lines = (rest + (chunk as string)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!skips) take(line);
        skips = false;
      }
      if (rest.length > LONGEST) {
        if (!skips) tooLong();
        [rest, skips] = ['', true];
      }
    }
  } catch {
    // Destroyed, as nobody reads the answers.
  }
  if (!skips) take(rest);
}
