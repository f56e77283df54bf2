import type { IncomingMessage } from 'node:http';
import type { Launch, Progress, ReloadResult, Route, Status } from '../lib/api/control.js';
import { MARK } from '../lib/ipc/messages.js';
import { ClusterError, fromWire } from '../lib/kit/errors.js';
import type { InstanceRecord } from '../lib/control/registry.js';
import { CALLER, type Line } from '../lib/control/server.js';

/** How long a whole plain answer may take, ms. */
const ANSWER = 5_000;
/** How long an answer in lines may be silent, ms; the server sends a sign of life every 2 s. */
const SILENCE = 15_000;

/** What is asked. */
interface RequestOptions {
  /** Sent as JSON. */
  body?: unknown;
  /** Milliseconds for the whole answer. */
  timeout?: number;
}

/** What was answered, whole; of 500 and above it is an error instead. */
interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

/** Told of each step, in words for a person. */
type OnProgress = (progress: Progress) => void;

/** Talks to a running master. Every failure is a ClusterError: what the master answered, or ERR_CLUSTER_CONTROL. */
export class ControlClient {
  readonly #record: Pick<InstanceRecord, 'socket' | 'pid' | 'title'>;

  constructor(record: Pick<InstanceRecord, 'socket' | 'pid' | 'title'>) {
    this.#record = record;
  }

  async status(timeout = ANSWER): Promise<Status> {
    const { body } = await this.get('/status', timeout);
    return JSON.parse(body) as Status;
  }

  /** What it was started with; null of a master that does not tell, as it is of an older version. */
  async launch(timeout = ANSWER): Promise<Launch | null> {
    const { status, body } = await this.get('/launch', timeout);
    return status === 200 ? JSON.parse(body) as Launch : null;
  }

  /** A plain answer, whole, within `timeout` ms. */
  get(path: string, timeout = ANSWER): Promise<Answer> {
    return this.request('GET', path, { timeout });
  }

  /** The same with another method, and `body` as JSON. */
  async request(method: Route['method'], path: string, { body, timeout = ANSWER }: RequestOptions = {}): Promise<Answer> {
    const signal = AbortSignal.timeout(timeout);
    try {
      const response = await this.#send(method, path, signal, body);
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
      const status = response.statusCode ?? 0;
      if (status >= 500) throw this.#refused(text, path);
      return { status, headers: response.headers, body: text };
    } catch (error) {
      if (error instanceof ClusterError) throw error;
      throw this.#failed(error, signal.aborted ? `did not answer within ${timeout} ms` : undefined);
    }
  }

  /** Replaces all workers, then the agent (`agent: false`: not the agent). Rejects as the command fails. */
  reload({ agent = true, queue = false }: { agent?: boolean; queue?: boolean } = {}, onProgress?: OnProgress): Promise<ReloadResult> {
    return this.run(`/reload?reason=command&agent=${agent}&queue=${queue}`, onProgress);
  }

  /** Changes the number of workers: `3`, `"+1"`, `"-1"`. */
  scale(to: number | string, onProgress?: OnProgress): Promise<{ from: number; to: number }> {
    return this.run(`/scale?to=${encodeURIComponent(to)}`, onProgress);
  }

  /** Something that takes time, with `body` as JSON; resolves with its result. Rejects when the master goes away before it is done. */
  async run<Result>(path: string, onProgress: OnProgress = () => {}, body?: unknown): Promise<Result> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE);
    let answer: Error | undefined;
    try {
      const response = await this.#send('POST', path, silence.signal, body);
      if (isPlain(response)) return await this.#whole<Result>(response, path);
      for await (const text of lines(response)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE);
        const line = JSON.parse(text) as Line;
        if ('progress' in line) onProgress(line.progress);
        else if ('result' in line) return line.result as Result;
        else if ('error' in line) throw answer = fromWire(line.error);
      }
      throw new Error('the answer broke off');
    } catch (error) {
      if (error === answer || error instanceof ClusterError) throw error;
      throw this.#failed(error, silence.signal.aborted ? `has not said a word for ${SILENCE / 1000} s` : 'went away before it was done');
    } finally {
      clearTimeout(timer);
    }
  }

  #send(method: string, path: string, signal: AbortSignal, body?: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { ...fromWithin(), ...body === undefined ? {} : { 'content-type': 'application/json' } };
      const to = { socketPath: this.#record.socket, method, path, signal, agent: false, headers };
      // Not loaded by the start, which asks nobody.
      const request = process.getBuiltinModule('node:http').request(to, resolve).on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Of a route that had no progress to tell. */
  async #whole<Result>(response: IncomingMessage, path: string): Promise<Result> {
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
    if ((response.statusCode ?? 0) >= 400) throw this.#refused(text, path);
    return (/json/.test(response.headers['content-type'] ?? '') ? JSON.parse(text) : text) as Result;
  }

  #failed(cause: unknown, what?: string): ClusterError {
    const { title, pid } = this.#record;
    const { code, message } = cause as NodeJS.ErrnoException;
    const absent = code === 'ENOENT' || code === 'ECONNREFUSED';
    const why = absent ? 'has no control socket' : what ?? `did not answer: ${message}`;
    return new ClusterError('ERR_CLUSTER_CONTROL', `the master of "${title}" (pid ${pid}) ${why}`);
  }

  #refused(body: string, path: string): ClusterError {
    let reason = body.trim();
    try {
      reason = (JSON.parse(body) as { error: { message: string } }).error.message;
    } catch {
      // Not ours: shown as it is.
    }
    return new ClusterError('ERR_CLUSTER_CONTROL', `the master of "${this.#record.title}" could not answer ${path}: ${reason}`);
  }
}

/**
 * The client of a running instance, found as `framework status` finds it: by the app's directory or entry file (default: the
 * working directory), and its title where there are several. @throws ClusterError ERR_CLUSTER_NOT_RUNNING, _USAGE
 */
export async function connect(target?: string, { title }: { title?: string } = {}): Promise<ControlClient> {
  const { locate } = await import('./locate.js');
  return new ControlClient(await locate({ target, title }));
}

/** Of a route, all at once: masters of 0.1.0 and others say nothing of lines. */
const isPlain = ({ headers, statusCode }: IncomingMessage): boolean =>
  (statusCode ?? 0) >= 400 || /^(?:application\/json|text\/)/.test(headers['content-type'] ?? '');

/** Tells a master that it is one of its children who runs this command. */
const fromWithin = (): Record<string, string> => process.env[MARK] === undefined ? {} : { [CALLER]: String(process.pid) };

async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const parts = (rest + (chunk as string)).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}
