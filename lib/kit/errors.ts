import { inspect } from 'node:util';

/** Every coded error, in one place: what it means, and the exit code of a command that ends with it. */
export const ERRORS = {
  ERR_CLUSTER_CONFIG: { exit: 2, means: 'a configuration key or value is wrong, or the file cannot be read' },
  ERR_CLUSTER_USAGE: { exit: 2, means: 'an unknown command or flag, or a value that a command or a function does not take' },
  ERR_CLUSTER_APP_NOT_FOUND: { exit: 2, means: 'the target directory or entry file is not there, or holds nothing to run' },
  ERR_CLUSTER_PLUGIN: { exit: 2, means: 'a plugin cannot be found, loaded, given these options or applied' },
  ERR_CLUSTER_ENGINE: { exit: 2, means: 'this Node.js or this hatchery is outside what a plugin or an app supports' },
  ERR_CLUSTER_BALANCE: { exit: 2, means: 'the wanted `balance` cannot be had on this Node.js or operating system' },
  ERR_CLUSTER_NOT_CLONEABLE: {
    exit: 2, means: 'options for a child process, or what is sent to another one, hold what cannot be sent, a function for instance',
  },
  ERR_CLUSTER_NO_AGENT: { exit: 2, means: 'something needs an agent and none is configured: set `agent: true`' },
  ERR_CLUSTER_ALREADY_RUNNING: { exit: 1, means: 'an instance with this title and directory is running' },
  ERR_CLUSTER_NOT_RUNNING: { exit: 1, means: 'no running instance was found' },
  ERR_CLUSTER_INSTALLATION: {
    exit: 1, means: 'the package that the master was started from is gone or another version, and no copy of it can be made',
  },
  ERR_CLUSTER_START: { exit: 1, means: 'a child failed or died before the first ready' },
  ERR_CLUSTER_START_TIMEOUT: { exit: 1, means: 'a child was not ready within `startTimeout`' },
  ERR_CLUSTER_CLOSING: { exit: 1, means: 'the cluster is closing, so this cannot be done any more' },
  ERR_CLUSTER_ALONE: { exit: 1, means: 'the app runs in the one process of `--workers 0`, and this needs a worker, or an agent' },
  ERR_CLUSTER_BUSY: { exit: 1, means: 'something else is under way (the start, a reload, a scale), so this cannot be done now' },
  ERR_CLUSTER_RELOAD_VETOED: { exit: 1, means: 'a `beforeReload` tap said no' },
  ERR_CLUSTER_RELOAD_ABORTED: { exit: 1, means: 'new code did not become ready; the old workers are untouched' },
  ERR_CLUSTER_HOOK: { exit: 1, means: 'a tap of a gate hook threw; the message names the plugin' },
  ERR_CLUSTER_HOOK_TIMEOUT: { exit: 1, means: 'a tap of a gate hook did not finish in time; the message names the plugin' },
  ERR_CLUSTER_TAP_LATE: { exit: 1, means: 'a plugin tapped a hook after `apply` had returned' },
  ERR_CLUSTER_NO_HANDLER: { exit: 1, means: 'a request reached a process that has no handler for its action' },
  ERR_CLUSTER_NO_RECEIVER: { exit: 1, means: 'nobody is there to take the message' },
  ERR_CLUSTER_REQUEST_TIMEOUT: { exit: 1, means: 'a request was not answered in time' },
  ERR_CLUSTER_CHANNEL_CLOSED: { exit: 1, means: 'the other process is gone' },
  ERR_CLUSTER_NOT_READING: { exit: 1, means: 'a process has not read for so long that nothing more is kept for it' },
  ERR_CLUSTER_MESSAGE_TOO_LONG: { exit: 1, means: 'a message is longer than 16 MiB' },
  ERR_CLUSTER_CUT_OFF: { exit: 1, means: 'a child broke the rules of its channels and was killed; the message says how' },
  ERR_CLUSTER_UNKNOWN_MESSAGE: { exit: 1, means: 'an internal message nobody declared' },
  ERR_CLUSTER_LEADER_LOST: { exit: 1, means: 'the process that held the real client has ended, and may have done the call or not' },
  ERR_CLUSTER_NOT_SHARED: { exit: 1, means: 'a shared client has no such call or topic' },
  ERR_CLUSTER_CLIENT_CLOSED: { exit: 1, means: 'a shared client is used that was closed in this process' },
  ERR_CLUSTER_HOSTS: { exit: 1, means: 'Redis, by which hosts speak to each other, cannot be reached' },
  ERR_CLUSTER_LEASE_LOST: { exit: 1, means: 'a lease (`context.lead`) is held no more: it ran out, or was let go' },
  ERR_CLUSTER_NOT_SERVABLE: { exit: 1, means: 'what the app exports can be neither called nor listened on, and it listens nowhere itself' },
  ERR_CLUSTER_TYPESCRIPT: { exit: 1, means: 'a TypeScript entry, and neither this Node.js nor an installed tsx can run it' },
  ERR_CLUSTER_CONTROL: { exit: 1, means: 'the control socket could not be made or did not answer' },
} as const;

/** `ERR_CLUSTER_...`; a key of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** What a failure looks like when it crosses a process border or goes into JSON. */
export interface ErrorData {
  name: string;
  message: string;
  /** All that describeError tells of it, its causes too: a cause is told, and not sent. */
  stack?: string;
  code?: string;
  /** Further lines for a person (ClusterError). */
  detail?: string;
  /** With {@link wireWhole}: an error that it comes from. */
  cause?: ErrorData;
  /** With {@link wireWhole}: its own fields beside these, and what it comes from where that is no error. */
  fields?: Record<string, unknown>;
}

/** What an error carries beside code and message. */
export interface ClusterErrorOptions {
  /** The error that it comes from; told with it in logs and across processes. */
  cause?: unknown;
  /** Further lines for a person, printed below the message: a child's own error output, for instance. */
  detail?: string;
}

/** A process may have several of this class: each entry of the package is a bundle with its own, and a linked framework brings copies. */
const MARK = Symbol.for('hatchery.ClusterError');

/** An error of ours: whoever handles it goes by `code`, what each means stands in {@link ERRORS}. */
export class ClusterError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    // Not by its own name, for which esbuild would give the class another one that errors then show.
    if (!Object.hasOwn(this.prototype, MARK)) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && MARK in value;
  }

  readonly code: ErrorCode;
  /** Further lines for a person: a failing child's own output, for instance. */
  declare readonly detail?: string;

  constructor(code: ErrorCode, message: string, options: ClusterErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClusterError';
    this.code = code;
    if (options.detail) this.detail = options.detail;
  }

  get [MARK](): true { return true; }

  /** Exit code of a command that ends with this error: 2 for the user's mistake, 1 for everything else. */
  get exitCode(): number {
    return ERRORS[this.code].exit;
  }
}

/** Characters of an error's texts that other processes are told: an assertion of two large values has many more. */
const TOLD = 64 * 1024;
const clip = (text: unknown, most = TOLD): string => String(text).slice(0, most);

/** Characters of what was thrown and is no error. */
const ODD = 500;

/** What was thrown, in words: where anything may be thrown, it may be what no text can be made of. Never throws. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error);
  } catch {
    return inspected(error).split('\n', 1)[0] as string;
  }
}

/** A Proxy's traps are not asked here. */
function inspected(value: unknown): string {
  try {
    return inspect(value).slice(0, ODD);
  } catch {
    return 'something that no text can be made of';
  }
}

/** An error, or whatever else was thrown, as data for another process or JSON; its causes are told in `stack`. Never throws. */
export function wire(error: unknown): ErrorData {
  try {
    return wired(error);
  } catch {
    return { name: 'Error', message: clip(messageOf(error)) };
  }
}

function wired(error: unknown): ErrorData {
  if (!(error instanceof Error)) {
    if (typeof error === 'string') return { name: 'Error', message: clip(error) };
    return { name: 'Error', message: clip(asText(error)), stack: clip(describeError(error)) };
  }
  const { name, message, stack, code, detail } = error as Error & { code?: unknown; detail?: unknown };
  return {
    name: clip(name, 200),
    message: clip(message),
    stack: stack === undefined ? undefined : clip(describeError(error)),
    ...(typeof code === 'string' ? { code: clip(code, 200) } : {}),
    ...(typeof detail === 'string' ? { detail: clip(detail) } : {}),
  };
}

/** Classes that every process has. */
const CLASSES: Readonly<Record<string, new (message: string) => Error>> =
  { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

/** Fields that have a place of their own in {@link ErrorData}. */
const APART: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'code', 'detail', 'cause']);

/**
 * An error for another process that is to have all of it: the name of its class where it says none, its cause, its own fields.
 * These have to be something that can be sent; where they may not be, there is {@link wire}.
 */
export function wireWhole(error: unknown, depth = 0): ErrorData {
  const plain = wire(error);
  if (!(error instanceof Error)) return plain;
  const { name, stack, code, detail, cause } = error as Error & Record<string, unknown>;
  const fields = Object.fromEntries(Object.entries(error).filter(([field, value]) => !APART.has(field) && value !== error));
  const { name: className } = error.constructor as { name?: unknown };
  if ((name === 'Error' || Object.hasOwn(CLASSES, name)) && typeof className === 'string' && className !== '') plain.name = className;
  if (typeof stack === 'string') plain.stack = clip(stack);
  if (code !== undefined && plain.code === undefined) fields.code = code;
  if (detail !== undefined && plain.detail === undefined) fields.detail = detail;
  if (error instanceof AggregateError) fields.errors = error.errors;
  if (cause instanceof Error && depth < DEEPEST) plain.cause = wireWhole(cause, depth + 1);
  else if (cause !== undefined && !(cause instanceof Error)) fields.cause = cause;
  return Object.keys(fields).length === 0 ? plain : { ...plain, fields };
}

/** Not everything that is thrown can be JSON: a circle, a bigint. */
function asText(thrown: unknown): string {
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return inspect(thrown);
  }
}

/** Whether something, from a process that is not trusted, is what {@link wire} makes. */
export function isErrorData(value: unknown): value is ErrorData {
  if (typeof value !== 'object' || value === null) return false;
  const { name, message, stack, code, detail } = value as Record<keyof ErrorData, unknown>;
  return typeof name === 'string' && typeof message === 'string'
    && [stack, code, detail].every((one) => one === undefined || typeof one === 'string');
}

/** What {@link wire} or {@link wireWhole} has made of an error, as an error again. */
export function fromWire({ name, message, stack, code, detail, cause, fields }: ErrorData): Error {
  const error = code !== undefined && Object.hasOwn(ERRORS, code)
    ? new ClusterError(code as ErrorCode, message, { detail })
    : Object.assign(classed(name, message), code === undefined ? {} : { code }, detail === undefined ? {} : { detail });
  if (error.name !== name) hidden(error, 'name', name);
  if (stack !== undefined) error.stack = stack;
  if (cause !== undefined && isErrorData(cause)) hidden(error, 'cause', fromWire(cause));
  for (const [field, value] of Object.entries(fields ?? {})) {
    if (field === 'cause' || field === 'errors') hidden(error, field, value);
    else if (!(field in Object.prototype)) (error as unknown as Record<string, unknown>)[field] = value;
  }
  return error;
}

const classed = (name: string, message: string): Error => {
  if (name === 'AggregateError') return new AggregateError([], message);
  return Object.hasOwn(CLASSES, name) ? new (CLASSES[name] as new (message: string) => Error)(message) : new Error(message);
};

/** As Node has it: not among what is enumerated. */
const hidden = (error: Error, field: string, value: unknown): void => {
  Object.defineProperty(error, field, { value, writable: true, configurable: true, enumerable: false });
};

/** Causes of causes that are still told; an app may make a circle of them. */
const DEEPEST = 10;

/** An error with its stack, its own fields, its causes, and those it stands for (AggregateError). Never throws. */
export function describeError(error: unknown, depth = 0): string {
  try {
    return described(error, depth);
  } catch {
    return inspected(error);
  }
}

function described(error: unknown, depth: number): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : inspect(error);
  let out = error.stack?.includes(error.message) ? error.stack : `${error.name}: ${error.message}\n${error.stack ?? ''}`;
  const { code, detail, cause, errors } = error as { code?: unknown; detail?: unknown; cause?: unknown; errors?: unknown };
  if (typeof code === 'string' && !out.includes(code)) out += `\n    code: ${code}`;
  if (typeof detail === 'string' && !out.includes(detail)) out += `\n${detail}`;
  if (depth === DEEPEST) return out;
  if (cause !== undefined) out += `\n  caused by: ${describeError(cause, depth + 1)}`;
  if (Array.isArray(errors)) for (const one of errors) out += `\n  one of its errors: ${describeError(one, depth + 1)}`;
  return out;
}

const reasons: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the path is not a directory',
  ELOOP: 'too many symbolic links',
};

/** A system error in words. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && reasons[code]) ?? message;
}
