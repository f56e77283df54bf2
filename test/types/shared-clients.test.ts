import assert from 'node:assert/strict';
import test from 'node:test';
import { defineShared, type Context, type SharedClient } from '../../lib/index.js';

/** `npm run typecheck` is the test: each line below an expected error must be one, and nothing else may be. */
interface User { id: string }
class Registry {
  constructor(readonly options: { url: string }) {}
  find(id: string): User { return { id }; }
  async list(limit?: number): Promise<User[]> { return [{ id: String(limit) }]; }
  private hidden(): void {}
  _internal(): void { this.hidden(); }
}
interface Topics { members: User[]; log: string }

const definition = defineShared({ name: 'registry', client: Registry, calls: ['find'], topics: { members: 'state' } });

export async function used({ shareClient }: Context): Promise<void> {
  const plain = await shareClient(Registry, { url: 'x' });
  const user: User = await plain.find('a');
  const users: User[] = await plain.list();
  // @ts-expect-error the argument is a text
  void plain.find(1);
  // @ts-expect-error private by its name
  void plain._internal();
  plain.subscribe('anything', (value) => void [value, user, users]);
  await plain.close();

  const limited = await shareClient(definition);
  await limited.find('a');
  // @ts-expect-error not declared
  void limited.list();
  limited.subscribe('members', () => {});

  const typed = await shareClient(defineShared<Registry, Topics>({
    name: 'registry', calls: { find: { idempotent: true }, list: true }, topics: { members: 'state', log: 'stream' },
  }));
  typed.subscribe('members', (members) => members.map(({ id }) => id));
  typed.publish('log', 'a line').catch(() => {});
  // @ts-expect-error no such topic
  typed.subscribe('orders', () => {});
  // @ts-expect-error a topic carries what it was declared with
  void typed.publish('log', 5);

  // @ts-expect-error a call that the class does not have
  defineShared({ name: 'registry', client: Registry, calls: ['fnd'] });
  const named: SharedClient<Registry> = await shareClient<Registry>('registry');
  await named.list(3);
}

test('shared clients are typed', () => { assert.equal(typeof used, 'function'); });
