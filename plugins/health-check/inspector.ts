import { setTimeout as delay } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { INSPECTOR_HOST, startInspector } from '../../lib/index.js';
import { listeningPorts } from './process-facts.js';

/** One frame of a JavaScript stack, lines and columns counted from 1. */
export interface Frame {
  name: string;
  file: string;
  line: number;
  column: number;
}

export interface Paused {
  frames: Frame[];
  /** Evaluates an expression in the innermost frame, by value. Rejects when it throws. */
  evaluate(expression: string): Promise<unknown>;
}

interface Target { webSocketDebuggerUrl?: string; type?: string }
type Fields = Record<string, unknown>;
interface Reply { id?: number; method?: string; params?: Fields; result?: Fields; error?: { message: string } }
interface CallFrame { callFrameId: string; functionName: string; location: { scriptId: string; lineNumber: number; columnNumber?: number } }

/** Milliseconds that a process gets to answer on a port which may be its inspector. */
const PROBE = 300;
const MAX_FRAMES = 30;

/** The address of a process's inspector that was opened from outside. Nothing else that it listens on is asked for anything. */
export async function findInspector(pid: number, except: readonly number[] = []): Promise<string | null> {
  const ports = (await listeningPorts(pid, INSPECTOR_HOST)).filter((port) => !except.includes(port));
  const found = await Promise.all(ports.map(ask));
  return found.find((url) => url !== null) ?? null;
}

/**
 * Opens the inspector of a process: it answers on a thread of its own, whatever the JavaScript does. The port is one of the
 * system's choice, at an address that nobody else takes (INSPECTOR_HOST), so it is looked up among those the process listens on.
 */
export async function openInspector(pid: number, signal: AbortSignal): Promise<string> {
  // Without such an address (not Linux) it is one that was not there before.
  const before = process.platform === 'linux' ? [] : await listeningPorts(pid);
  startInspector(pid);
  for (;;) {
    signal.throwIfAborted();
    const url = await findInspector(pid, before);
    if (url) return url;
    await delay(20, undefined, { signal });
  }
}

/** Stops the JavaScript at once, hands over where it stands, and lets go. `signal` ends the wait for a process in native code. */
export async function pause<T>(url: string, signal: AbortSignal, look: (paused: Paused) => Promise<T>): Promise<T> {
  const session = await Session.open(url, signal);
  try {
    const files = new Map<string, string>();
    session.on('Debugger.scriptParsed', ({ scriptId, url: file }) => files.set(String(scriptId), String(file)));
    const paused = new Promise<CallFrame[]>((resolve) => {
      session.on('Debugger.paused', ({ callFrames }) => resolve(callFrames as CallFrame[]));
    });
    // Both at once: between two messages the JavaScript that comes out of native code would run on.
    await Promise.all([session.send('Debugger.enable'), session.send('Debugger.pause')]);
    const callFrames = await session.orAborted(paused);
    const [innermost] = callFrames;
    return await look({
      frames: callFrames.slice(0, MAX_FRAMES).map(({ functionName, location }) => ({
        name: functionName || '(anonymous)',
        file: (files.get(location.scriptId) ?? '').replace(/^file:\/\//, '') || '(unknown)',
        line: location.lineNumber + 1,
        column: (location.columnNumber ?? 0) + 1,
      })),
      evaluate: async (expression) => {
        const { result, exceptionDetails } = await session.send('Debugger.evaluateOnCallFrame', {
          callFrameId: innermost?.callFrameId, expression, returnByValue: true, silent: true, throwOnSideEffect: false,
        }) as { result?: { value?: unknown }; exceptionDetails?: { text: string } };
        if (exceptionDetails) throw new Error(exceptionDetails.text);
        return result?.value;
      },
    });
  } finally {
    session.close();
  }
}

function ask(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const { get } = process.getBuiltinModule('node:http');
    const request = get({ host: INSPECTOR_HOST, port, path: '/json/list', timeout: PROBE, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > 65_536) request.destroy();
      }).on('end', () => resolve(targetIn(text))).on('error', () => resolve(null)).on('close', () => resolve(null));
    });
    // The time-out of a socket begins anew with each byte; this one does not.
    const timer = setTimeout(() => request.destroy(), PROBE);
    request.on('close', () => {
      clearTimeout(timer);
      resolve(null);
    }).on('error', () => resolve(null));
  });
}

function targetIn(text: string): string | null {
  try {
    const targets = JSON.parse(text) as Target[];
    return targets.find(({ type }) => type === 'node')?.webSocketDebuggerUrl ?? null;
  } catch {
    return null;
  }
}

/** A WebSocket of the inspector's protocol. */
class Session {
  readonly #socket: WebSocket;
  readonly #signal: AbortSignal;
  readonly #listeners = new Map<string, (params: Record<string, unknown>) => void>();
  readonly #asked = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #next = 1;

  private constructor(socket: WebSocket, signal: AbortSignal) {
    this.#socket = socket;
    this.#signal = signal;
    socket.on('message', (data: Buffer) => this.#receive(JSON.parse(String(data)) as Reply));
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('the inspector went away'));
    });
  }

  static async open(url: string, signal: AbortSignal): Promise<Session> {
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const session = new Session(socket, signal);
    await session.orAborted(new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve());
      socket.once('error', reject);
    })).catch((error: unknown) => {
      socket.terminate();
      throw error;
    });
    return session;
  }

  on(method: string, listener: (params: Record<string, unknown>) => void): void {
    this.#listeners.set(method, listener);
  }

  send(method: string, params: object = {}): Promise<unknown> {
    return this.orAborted(new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#asked.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }), (error) => { if (error) reject(error); });
    }));
  }

  async orAborted<T>(promise: Promise<T>): Promise<T> {
    const signal = this.#signal;
    let stop!: () => void;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason as Error);
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.#socket.terminate();
  }

  #receive({ id, method, params, result, error }: Reply): void {
    if (method !== undefined) this.#listeners.get(method)?.(params ?? {});
    const asked = id === undefined ? undefined : this.#asked.get(id);
    if (id === undefined || !asked) return;
    this.#asked.delete(id);
    if (error) asked.reject(new Error(error.message));
    else asked.resolve(result);
  }
}
