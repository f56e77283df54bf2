import type { ChildProcess } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { LONGEST as LONGEST_MESSAGE } from '../../ipc/frames.js';
import { SLICE, type Intake } from '../../ipc/intake.js';
import { addressKey, isClusters, isInternal, message as hatchery, seeSent, type ClusterMessage } from '../../node/cluster.js';
import { guardEnds } from '../../node/cluster-ends.js';
import { awaitsHandle, guardIpc, type Verdict } from '../../node/ipc-reader.js';
import type { RawHandle } from '../../node/raw-sockets.js';

/** Addresses that one process may listen on at the same time, or ask for at once. */
const MOST = 1_000;
/** Characters of a path, a host or a key. */
const LONGEST = 1_024;

type Data = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string' && value.length <= LONGEST;
const whole = (least: number, most: number): Check => (value) =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
const number = whole(0, Number.MAX_SAFE_INTEGER);
const maybe = (check: Check): Check => (value) => value === undefined || value === null || check(value);
const among = (...values: unknown[]): Check => (value) => values.includes(value);
/** Of what node:cluster keeps for a server: the keys of its TLS tickets. */
const small: Check = (value) => JSON.stringify(value).length <= 4 * LONGEST;
const flag = among(true, false, 0, 1);
const port = whole(-1, 65_535);
const descriptor = whole(-1, 2 ** 31);
const addressType = among(4, 6, -1, 'udp4', 'udp6');

/** What a worker's node:cluster says (lib/internal/cluster/child in Node's source), field by field; other fields are not looked at. */
const acts: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  online: {},
  exitedAfterDisconnect: { seq: number },
  close: { key: text },
  listening: { address: maybe(text), port: maybe(port), addressType: maybe(addressType), fd: maybe(descriptor) },
  queryServer: {
    seq: number, address: maybe(text), port: maybe(port), addressType: maybe(addressType), index: number, fd: maybe(ownSocket),
    flags: maybe(number), backlog: maybe(descriptor), data: maybe(small), readableAll: maybe(flag), writableAll: maybe(flag),
  },
};

/** Where a service manager hands sockets over, a worker names the master's descriptor. What is open there and no socket would be closed. */
function ownSocket(fd: unknown): boolean {
  if (!descriptor(fd)) return false;
  if ((fd as number) < 0) return true;
  if ((fd as number) <= 2) return false;
  try {
    return fstatSync(fd as number).isSocket();
  } catch {
    // Not open: Node says so to the worker.
    return true;
  }
}

const NATIVE = 'net.Native';
const handleTypes = among(NATIVE, 'net.Socket', 'net.Server', 'dgram.Native', 'dgram.Socket');

/**
 * What one child says on Node's own channel, as its node:child_process and node:cluster, or an application's code, may say it
 * (docs/decisions/untrusted-children.md): Node's own code in the master takes whatever comes for its own and throws, or keeps it.
 */
export class NodeMessages {
  /** Asked for and not answered: the number of the question, and the address's key. */
  readonly #asked = new Map<unknown, string>();
  readonly #listening = new Set<string>();
  /** A handle was sent to it, and Node waits for its word. */
  readonly #awaitsHandle: () => boolean;

  constructor(awaitsHandle: () => boolean) {
    this.#awaitsHandle = awaitsHandle;
  }

  admit(message: unknown, handle: RawHandle | undefined): Verdict {
    if (!isInternal(message)) return true;
    if (message.cmd === 'NODE_HANDLE') return this.#handle(message as unknown as Data, handle);
    if (message.cmd === 'NODE_HANDLE_ACK' || message.cmd === 'NODE_HANDLE_NACK') {
      return this.#awaitsHandle() || 'it acknowledges a handle that it was not sent';
    }
    if (isClusters(message)) return this.#cluster(message);
    // Of a server one of whose connections was sent here, and closed: nothing is left of it.
    const { key } = message;
    if (message.cmd === 'NODE_SOCKET_NOTIFY_CLOSE') return { answer: { cmd: 'NODE_SOCKET_ALL_CLOSED', key } };
    if (message.cmd === 'NODE_SOCKET_GET_COUNT') return { answer: { cmd: 'NODE_SOCKET_COUNT', key, count: 0 } };
    // Ours always bring a handle.
    return false;
  }

  /** What the master's node:cluster says: the answer tells whether it listens. */
  said(message: ClusterMessage): void {
    if (!isClusters(message) || message.ack === undefined) return;
    const key = this.#asked.get(message.ack);
    this.#asked.delete(message.ack);
    if (key !== undefined && !message.errno) this.#listening.add(key);
  }

  #cluster(message: ClusterMessage): Verdict {
    const { act, ack } = message;
    if (act === undefined) return whole(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)(ack) || 'it answers what is no question';
    const fields = typeof act === 'string' && Object.hasOwn(acts, act) ? acts[act] : undefined;
    if (!fields) return false;
    const wrong = Object.entries(fields).find(([name, check]) => !check(message[name as keyof ClusterMessage]));
    if (wrong) return `its message "${act}" to node:cluster has a wrong ${wrong[0]}`;
    if (act === 'close') this.#listening.delete(message.key as string);
    return act !== 'queryServer' || this.#asks(message);
  }

  #asks(message: ClusterMessage): true | string {
    if (this.#asked.has(message.seq)) return 'it asks for two addresses in one';
    this.#asked.set(message.seq, addressKey(message));
    return this.#asked.size + this.#listening.size <= MOST || `it listens on more than ${MOST} addresses`;
  }

  #handle({ type, msg }: Data, handle: RawHandle | undefined): Verdict {
    if (!handleTypes(type)) return 'it sends a handle of no known type';
    // Node asks for it once more.
    if (!handle) return true;
    if (isInternal(msg)) {
      const back = msg.cmd === hatchery.connectionBack && type === NATIVE && maybe(text)(msg.key) && handle.readStop !== undefined;
      return back || 'it sends a handle with a message that takes none';
    }
    // Nobody in the master takes handles from an application, and one that nobody takes stays open. Node would read from it, or
    // listen on it, whatever it is.
    return { answer: { cmd: 'NODE_HANDLE_ACK' }, heard: msg };
  }
}

/** Looks at all that a child says on Node's channel before anybody hears it. To be called right after the fork. */
export function guardNode(child: ChildProcess, intake: Intake, misused: (reason: string) => void): void {
  // Where descriptors are used up there is none.
  if (!child.channel) return;
  guardEnds(child);
  const messages = new NodeMessages(() => awaitsHandle(child));
  guardIpc(child, {
    longest: LONGEST_MESSAGE,
    slice: SLICE,
    admit: (message, handle) => messages.admit(message, handle),
    took: (...slice) => intake.took(...slice),
    misused,
  });
  seeSent(child, (message) => messages.said(message));
}
