import { createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ISSUED_COOKIE, cookieDefaults, type CookieOptions, type StickyOptions } from './options.js';
import { cookieOf } from './request-key.js';

type Headers = Record<string, unknown> | unknown[] | undefined;

/** Cookies that bind a client to a slot. They name the slot and carry a signature, and nothing of the client. */
export class IssuedCookie {
  readonly #name: string;
  readonly #secret: string;
  readonly #options: CookieOptions;
  readonly #values: string[] = [];

  constructor({ key, issue, secret }: StickyOptions) {
    this.#name = typeof key === 'object' && 'cookie' in key ? key.cookie : ISSUED_COOKIE;
    this.#secret = secret as string;
    this.#options = typeof issue === 'object' ? issue : cookieDefaults;
  }

  /** The slot that a request's cookie names; undefined without one, and for one that was not made here. */
  slotIn(request: IncomingMessage): number | undefined {
    const value = cookieOf(request, this.#name);
    const slot = /^(\d{1,4})\./.exec(value ?? '')?.[1];
    return slot !== undefined && value === this.#valueOf(Number(slot)) ? Number(slot) : undefined;
  }

  /** Adds the cookie when the answer's head is written: beside those that the app sets, however it sets them. */
  add(response: ServerResponse, slot: number, encrypted: boolean): void {
    const text = this.#text(slot, encrypted);
    const { writeHead } = response;
    response.writeHead = function (this: ServerResponse, status: number, ...rest: unknown[]) {
      const message = typeof rest[0] === 'string' ? [rest.shift()] : [];
      const own = response.getHeader('set-cookie');
      const given = rest[0] as Headers;
      if (!includesCookie(given)) {
        response.setHeader('Set-Cookie', [...own === undefined ? [] : [own].flat().map(String), text]);
        return Reflect.apply(writeHead, response, [status, ...message, ...rest]) as ServerResponse;
      }
      return Reflect.apply(writeHead, response, [status, ...message, withCookie(given, text)]) as ServerResponse;
    } as ServerResponse['writeHead'];
  }

  #valueOf(slot: number): string {
    return this.#values[slot] ??= `${slot}.${createHmac('sha256', this.#secret).update(`${this.#name}=${slot}`).digest('base64url')}`;
  }

  #text(slot: number, encrypted: boolean): string {
    const { path, sameSite, secure = encrypted, domain, maxAge } = this.#options;
    return [
      `${this.#name}=${this.#valueOf(slot)}`, `Path=${path}`, 'HttpOnly', `SameSite=${sameSite[0]?.toUpperCase()}${sameSite.slice(1)}`,
      ...secure ? ['Secure'] : [], ...domain ? [`Domain=${domain}`] : [], ...maxAge ? [`Max-Age=${maxAge}`] : [],
    ].join('; ');
  }
}

const isCookie = (name: unknown): boolean => String(name).toLowerCase() === 'set-cookie';

function includesCookie(headers: Headers): headers is Record<string, unknown> | unknown[] {
  if (!Array.isArray(headers)) return headers !== undefined && Object.keys(headers).some(isCookie);
  if (Array.isArray(headers[0])) return headers.some((pair) => isCookie((pair as unknown[])[0]));
  return headers.some((name, at) => at % 2 === 0 && isCookie(name));
}

/** Headers as `writeHead` takes them: an object, a list of pairs, or names and values in turn. */
function withCookie(headers: Record<string, unknown> | unknown[], text: string): Headers {
  if (Array.isArray(headers)) return Array.isArray(headers[0]) ? [...headers, ['Set-Cookie', text]] : [...headers, 'Set-Cookie', text];
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => isCookie(name) ? [name, [value, text].flat()] : [name, value]));
}
