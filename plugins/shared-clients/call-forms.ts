/** In how many ways a client may do what it does: synchronously, by a promise, a callback, or a generator. */

type Callback = (error: unknown, result?: unknown) => void;
type Thunk = (callback: Callback) => void;

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';

const isGenerator = (value: unknown): value is Generator<unknown, unknown> => typeof value === 'object' && value !== null
  && typeof (value as Generator).next === 'function' && typeof (value as Generator).throw === 'function'
  && !(Symbol.asyncIterator in value);

/** Runs a generator as co does: what it yields is waited for. */
async function drive(generator: Generator<unknown, unknown>): Promise<unknown> {
  for (let step = generator.next(); ;) {
    if (step.done) return settled(step.value);
    try {
      step = generator.next(await settled(step.value));
    } catch (error) {
      step = generator.throw(error);
    }
  }
}

/** What may be yielded: promises, functions of a callback, generators, lists and objects of these; all else is itself. */
async function settled(value: unknown): Promise<unknown> {
  if (isPromise(value)) return value;
  if (isGenerator(value)) return drive(value);
  if (typeof value === 'function') return byCallback(value as Thunk);
  if (Array.isArray(value)) return Promise.all(value.map(settled));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([key, one]) => [key, await settled(one)] as const)));
}

const byCallback = (thunk: Thunk): Promise<unknown> => new Promise((resolve, reject) => {
  thunk((error, result) => error ? reject(error as Error) : resolve(result));
});

export interface CallForm {
  /** Who calls gave a callback: the method gets one, whatever it looks like. */
  callback?: boolean;
  /** The method may want one behind the arguments that are given. */
  mayWantOne?: boolean;
}

/** Calls a method and waits for what it gives, in whichever form. Never throws. */
export function callOf(
  client: object, method: (...args: unknown[]) => unknown, args: unknown[], { callback = false, mayWantOne = false }: CallForm,
): Promise<unknown> {
  if (!callback && !(mayWantOne && method.length > args.length)) {
    try {
      const result: unknown = Reflect.apply(method, client, args);
      return result instanceof Promise ? result : awaited(result);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }
  return new Promise((resolve, reject) => {
    const done: Callback = (error, result) => error ? reject(error as Error) : resolve(result);
    const result: unknown = Reflect.apply(method, client, [...args, done]);
    if (result !== undefined) awaited(result).then(resolve, reject);
  });
}

const awaited = async (result: unknown): Promise<unknown> => isGenerator(result) ? drive(result) : result;

/** Waits for a client's `ready`: a promise, a method that gives one, or one that takes a callback; a client without is ready. */
export async function readyOf(client: object): Promise<void> {
  const { ready } = client as { ready?: unknown };
  if (isPromise(ready)) return void await ready;
  if (typeof ready !== 'function') return;
  if (ready.length === 0) return void await awaited(Reflect.apply(ready, client, []));
  await new Promise<void>((resolve, reject) => {
    const result: unknown = Reflect.apply(ready, client, [(error: unknown) => error instanceof Error ? reject(error) : resolve()]);
    if (isPromise(result)) result.then(() => resolve(), reject);
  });
}

/** Closes a client by its method of that name, or by its usual one. */
export async function closeOf(client: object, name: string | undefined): Promise<void> {
  const method = (client as Record<string, unknown>)[name ?? 'close'];
  if (typeof method === 'function') await awaited(Reflect.apply(method, client, []));
}
