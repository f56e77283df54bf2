import { BlockList, isIP } from 'node:net';
import * as v from 'valibot';
import { SLOT_SOCKET_DIR } from './slot-socket-path.js';

const text = v.pipe(v.string('expected a text'), v.nonEmpty('expected a text'));
const milliseconds = (least: number, fallback: number, description: string) =>
  v.optional(v.pipe(v.number('expected milliseconds'), v.integer('expected whole milliseconds'),
    v.minValue(least, `expected ${least} ms or more`), v.maxValue(2 ** 31 - 1, 'expected less than 24 days'),
    v.description(description)), fallback);
const flag = (description: string) => v.optional(v.pipe(v.boolean('expected true or false'), v.description(description)), false);

const cidr = v.pipe(text, v.check((value) => isCidr(value), 'expected an address or a CIDR range, such as "10.0.0.0/8"'));

const token = v.pipe(text, v.regex(/^[\w!#$%&'*+.^`|~-]+$/, 'expected a name of letters, digits, - and _'));
const keyExpected = 'expected { cookie }, { header }, { query } or "socket.io"';
const key = v.union([
  v.strictObject({ cookie: token }, keyExpected),
  v.strictObject({ header: v.pipe(token, v.toLowerCase()) }, keyExpected),
  v.strictObject({ query: text }, keyExpected),
  v.literal('socket.io', keyExpected),
], keyExpected);

const switchOr = 'expected true, false or an object';
const cookie = v.strictObject({
  path: v.optional(v.pipe(text, v.description('`Path` of the cookie.')), '/'),
  sameSite: v.optional(v.pipe(v.picklist(['strict', 'lax', 'none'], 'expected "strict", "lax" or "none"'),
    v.description('`SameSite` of the cookie.')), 'lax'),
  secure: v.optional(v.pipe(v.boolean('expected true or false'), v.description('`Secure`; by itself, over https.'))),
  domain: v.optional(v.pipe(text, v.description('`Domain` of the cookie.'))),
  maxAge: v.optional(v.pipe(v.number('expected seconds'), v.integer('expected whole seconds'), v.minValue(1, 'expected 1 s or more'),
    v.description('Seconds it lives; by itself, as long as the browser runs.'))),
}, switchOr);

const fileMode = 'expected an octal text such as "0660", or a number from 0 to 511';
const sockets = v.strictObject({
  dir: v.optional(v.pipe(text, v.description('Directory of the sockets, relative to the app\'s.')), SLOT_SOCKET_DIR),
  mode: v.optional(v.pipe(
    v.union([
      v.pipe(v.number(fileMode), v.integer(fileMode), v.minValue(0, fileMode), v.maxValue(0o777, fileMode)),
      v.pipe(v.string(fileMode), v.regex(/^(?:0o?)?[0-7]{3}$/, fileMode), v.transform((octal) => parseInt(octal.replace(/^0o/, ''), 8))),
    ], fileMode),
    v.description('Permissions of the sockets, `"0660"`. By itself the key `mode`, else everybody may connect.'))),
}, switchOr);

export const schema = v.pipe(
  v.strictObject({
    mode: v.optional(v.pipe(v.picklist(['connection', 'request'], 'expected "connection" or "request"'),
      v.description('`connection`: by the client\'s address, decided in the master; '
        + '`request`: by `key`, decided in whatever worker has the connection.')), 'connection'),
    patience: milliseconds(1, 5_000,
      'How long clients wait for their worker while it is gone or does not answer, in ms; then another one serves them until it is back.'),
    proxyProtocol: flag('Expect the PROXY protocol (version 1 or 2) from `trustedProxies`, and take the client\'s address from there.'),
    trustedProxies: v.optional(v.pipe(v.array(cidr, 'expected a list of addresses'),
      v.description('Addresses and CIDR ranges of the proxies whose PROXY header counts.')), []),
    headerTimeout: milliseconds(1, 3_000, 'How long a trusted proxy may take for its PROXY header, in ms.'),
    key: v.optional(v.pipe(key,
      v.description('Where a request says who it is from: `{ cookie }`, `{ header }`, `{ query }` or `"socket.io"`.'))),
    issue: v.optional(v.pipe(v.union([v.boolean(switchOr), cookie], switchOr),
      v.description('Give clients a signed cookie that binds them to the worker they met first.')), false),
    secret: v.optional(v.pipe(v.string('expected a text'), v.minLength(16, 'expected 16 characters or more'),
      v.description('Signs the cookie. By itself a new one at each start, and clients get new cookies then.'))),
    forwardedFor: flag('Add the client\'s address, as this server sees it, at the end of `X-Forwarded-For` of each request.'),
    perSlotSocket: v.optional(v.pipe(v.union([v.boolean(switchOr), sockets], switchOr),
      v.description('Listen on one unix socket for each slot besides, '
        + 'for a proxy that balances by itself (`framework proxy-config`).')), false),
  }, 'expected an object of options'),
  v.forward(v.check(({ mode, key, issue }) => mode !== 'request' || key !== undefined || issue !== false,
    'expected a key with mode "request" (or `issue: true`): { cookie }, { header }, { query } or "socket.io"'), ['key']),
  v.forward(v.check(({ mode, key }) => mode === 'request' || key === undefined, 'is for mode "request"'), ['key']),
  v.forward(v.check(({ mode, issue }) => mode === 'request' || issue === false, 'is for mode "request"'), ['issue']),
  v.forward(v.check(({ key, issue }) => issue === false || key === undefined || (typeof key === 'object' && 'cookie' in key),
    'a cookie can be issued only where `key` is none or { cookie }'), ['issue']),
  v.forward(v.check(({ mode, proxyProtocol }) => mode === 'connection' || !proxyProtocol,
    'is for mode "connection"; in mode "request" the proxy says `X-Forwarded-For`'), ['proxyProtocol']),
  v.forward(v.check(({ proxyProtocol, trustedProxies }) => !proxyProtocol || trustedProxies.length > 0,
    'expected the addresses of the proxies: a PROXY header is believed from them alone'), ['trustedProxies']),
);

export type StickyOptions = v.InferOutput<typeof schema>;
export type Key = NonNullable<StickyOptions['key']>;
export type CookieOptions = v.InferOutput<typeof cookie>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'sticky-session': v.InferInput<typeof schema>;
  }
}

export const cookieDefaults: CookieOptions = v.parse(cookie, {});
export const socketDefaults: v.InferOutput<typeof sockets> = v.parse(sockets, {});
/** The cookie's name where `key` gives none. */
export const ISSUED_COOKIE = 'hatchery-slot';

function isCidr(value: string): boolean {
  const [address = '', bits, more] = value.split('/');
  const family = isIP(address);
  const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
  return family !== 0 && more === undefined && fits;
}

/** Looks addresses up among CIDR ranges. */
export function addressList(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (address) => list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}
