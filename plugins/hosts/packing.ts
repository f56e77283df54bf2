import { ClusterError, packed, unpacked, type Envelope } from '../../lib/runtime.js';

/** What goes to other hosts of a broadcast. */
export type Letter = Pick<Envelope, 'action' | 'data' | 'id' | 'meta'> & { from: string; host: string };

/** Bytes of one message: Redis keeps some thousands for hosts that are away. */
const LONGEST = 256 * 1024;

/** As a text. @throws ClusterError ERR_CLUSTER_MESSAGE_TOO_LONG, _NOT_CLONEABLE */
export function packLetter({ action, data, id, meta, from, host }: Letter): string {
  const bytes = packed([action, data, id, meta ?? null, from, host]);
  if (bytes.length <= LONGEST) return bytes.toString('base64');
  throw new ClusterError('ERR_CLUSTER_MESSAGE_TOO_LONG',
    `a message for other hosts has at most ${LONGEST} bytes, found ${bytes.length} in "${action}"`);
}

/** @throws Error where it is none: anybody who may write to Redis may have written it */
export function unpackLetter(text: string): Letter & { id: string } {
  const list = unpacked(Buffer.from(text, 'base64'));
  if (!Array.isArray(list)) throw new Error('no list');
  const [action, data, id, meta, from, host] = list as unknown[];
  const isOne = [action, id, from, host].every((one) => typeof one === 'string') && typeof meta === 'object';
  if (!isOne) throw new Error('no message');
  return { action, data, id, from, host, ...(meta === null ? {} : { meta }) } as Letter & { id: string };
}
