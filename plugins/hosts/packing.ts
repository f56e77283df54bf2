import { Packr, addExtension } from 'msgpackr/pack';
import { ClusterError, fromWire, isErrorData, wireWhole, type Envelope } from '../../lib/runtime.js';

/** What goes to other hosts of a broadcast. */
export type Letter = Pick<Envelope, 'action' | 'data' | 'id' | 'meta'> & { from: string; host: string };

/** Of the extensions that MessagePack leaves to applications; as on the bus of one host. */
const ERROR = 1;
/** Bytes of one message: Redis keeps some thousands for hosts that are away. */
const LONGEST = 256 * 1024;

const packr = new Packr({
  structuredClone: true,
  copyBuffers: true,
  writeFunction: (): never => { throw new TypeError('a function cannot be sent'); },
});

addExtension({
  Class: Error,
  type: ERROR,
  write: (error: Error) => wireWhole(error),
  read: (data: unknown) => {
    if (!isErrorData(data)) throw new TypeError('no error');
    return fromWire(data);
  },
});

/** As a text. @throws ClusterError ERR_CLUSTER_MESSAGE_TOO_LONG; TypeError for what cannot be sent */
export function packLetter({ action, data, id, meta, from, host }: Letter): string {
  const bytes = packr.pack([action, data, id, meta ?? null, from, host]);
  if (bytes.length <= LONGEST) return bytes.toString('base64');
  throw new ClusterError('ERR_CLUSTER_MESSAGE_TOO_LONG',
    `a message for other hosts has at most ${LONGEST} bytes, found ${bytes.length} in "${action}"`);
}

/** @throws Error where it is none: anybody who may write to Redis may have written it */
export function unpackLetter(text: string): Letter & { id: string } {
  const list = packr.unpack(Buffer.from(text, 'base64')) as unknown;
  if (!Array.isArray(list)) throw new Error('no list');
  const [action, data, id, meta, from, host] = list as unknown[];
  const isOne = [action, id, from, host].every((one) => typeof one === 'string') && typeof meta === 'object';
  if (!isOne) throw new Error('no message');
  return { action, data, id, from, host, ...(meta === null ? {} : { meta }) } as Letter & { id: string };
}
