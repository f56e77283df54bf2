import { setTimeout as delay } from 'node:timers/promises';
import type { Scope } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { FencedStore, startHost, TestRedis, Way, type Host } from '../helpers/hosts.js';
import { Load } from '../helpers/load.js';

/** Of a lease, ms. */
const TTL = 3_000;

interface Said { who: string; n: number }

/**
 * Two hosts of which one leads, and both speak all the time, while Redis is killed, paused, cut off from one of them, and hosts
 * reload; then while leaders and those who are connected for their host are stopped and killed. No two ever lead at one time,
 * nothing is heard twice or out of order, and those who ask the sites notice nothing of Redis.
 */
export async function hostsSoak(scope: Scope, { rounds, pause }: { rounds: number; pause: number }): Promise<string> {
  const redis = await TestRedis.start(scope);
  const store = await FencedStore.open(scope);
  const hosts = await Promise.all(['a', 'b'].map(async (name) => {
    const way = await Way.open(scope, redis.port);
    const host = await startHost(scope, {
      name, url: `redis://127.0.0.1:${way.port}`, ttl: TTL, config: name === 'b' ? { agent: true } : {},
      env: { LEAD: 'job', STORE: store.socket },
    });
    return { way, host };
  }));
  const speakers = hosts.map(({ host }) => new Speaker(scope, host));
  const loads = hosts.map(({ host: { cluster: { port } } }) =>
    new Load({ keepAlive: 4, perConnection: 4 }, { http: { port }, pause: 5 }, scope));
  const leader = async () => {
    const { length } = store.all;
    await eventually(() => store.all.length > length, 60_000);
    const { pid, token } = store.all.at(-1)!;
    return { pid, token, at: hosts.findIndex(({ host }) => host.cluster.processes().some((one) => one.pid === pid)) };
  };
  const gaps: Record<string, number[]> = {};
  /** Milliseconds between the last word of one leader and the first of the next. */
  const afterwards = async (what: string, fault: (at: Awaited<ReturnType<typeof leader>>) => Promise<unknown>): Promise<void> => {
    const now = await leader();
    await fault(now);
    const next = await leader();
    store.assertOneAtATime();
    const reigns = store.reigns;
    const [one, two] = [reigns.find(({ token }) => token === now.token), reigns.find(({ token }) => token === next.token)];
    if (one && two && one !== two) (gaps[what] ??= []).push(Math.round((two.from - one.to) / 1_000));
    for (const speaker of speakers) await heardBy(hosts.map(({ host }) => host), speaker);
  };

  for (let round = 0; round < rounds; round++) {
    await afterwards('killed', async () => {
      await redis.kill();
      await delay(round % 2 === 0 ? 0 : 2 * TTL);
      await redis.start();
      await delay(TTL);
    });
    await afterwards('paused', async () => {
      redis.signal('SIGSTOP');
      await delay(pause);
      redis.signal('SIGCONT');
    });
    await afterwards('cut off', async ({ at, token }) => {
      hosts[at]!.way.cut();
      await eventually(() => store.all.at(-1)!.token > token, 60_000);
      await delay(pause);
      hosts[at]!.way.heal();
    });
    await afterwards('both cut off', async () => {
      for (const { way } of hosts) way.cut();
      await delay(pause);
      for (const { way } of hosts) way.heal();
    });
    await afterwards('reload', async ({ at }) => {
      const { code, stdout, stderr } = await hosts[at]!.host.cluster.run('reload', [], 120_000);
      if (code !== 0) throw new Error(`reload: ${stdout}${stderr}`);
    });
  }
  for (const load of loads) {
    await load.stop();
    if (load.lost > 0) throw new Error(`requests were lost\n${load.report()}`);
  }
  for (let round = 0; round < rounds; round++) {
    await afterwards('stopped', async ({ pid, token }) => {
      process.kill(pid, 'SIGSTOP');
      await eventually(() => store.all.at(-1)!.token > token, 60_000);
      process.kill(pid, 'SIGCONT');
    });
    await afterwards('leader dead', async ({ pid }) => {
      process.kill(pid, 'SIGKILL');
      await delay(2 * TTL);
    });
    await afterwards('agent dead', async () => {
      const { agent } = await hosts[1]!.host.cluster.status();
      if (agent) process.kill(agent.pid, 'SIGKILL');
      await delay(2 * TTL);
    });
  }
  const said = await Promise.all(speakers.map((speaker) => speaker.stop()));
  store.assertOneAtATime();
  for (const { host } of hosts) {
    await host.cluster.stop(60_000);
    await host.cluster.assertNothingLeft();
  }
  const told = Object.entries(gaps).map(([what, all]) => `${what} ${all.length}x ${Math.min(...all)}-${Math.max(...all)} ms`);
  return [
    `${store.reigns.length} leaders, ${store.all.length} writes, ${store.refused} refused by the store, no two at one time`,
    `without a leader: ${told.join(', ')}`,
    `${said.join(' and ')} broadcasts, none heard twice or out of order`,
    ...loads.map((load) => load.report()),
  ].join('\n');
}

/** Says one number after the other, by one worker of a host. */
class Speaker {
  readonly who: string;
  said = 0;
  readonly #host: Host;
  #over = false;
  readonly #done: Promise<void>;

  constructor(scope: Scope, host: Host) {
    this.#host = host;
    this.who = host.name;
    scope.after(() => { this.#over = true; });
    this.#done = this.#speak();
  }

  async stop(): Promise<number> {
    this.#over = true;
    await this.#done;
    return this.said;
  }

  async #speak(): Promise<void> {
    for (; !this.#over; await delay(50)) {
      try {
        await this.#host.on(0, 'tell', { who: this.who, n: this.said + 1 } satisfies Said);
        this.said++;
      } catch {
        // Its worker was killed under it.
        this.said++;
      }
    }
  }
}

/** Waits until what is said from now on is heard everywhere, and looks that nothing was heard twice or out of order. */
async function heardBy(hosts: readonly Host[], speaker: Speaker): Promise<void> {
  const from = speaker.said + 2;
  for (const host of hosts) {
    for (const slot of [0, 1]) {
      const numbers = async () => (await host.heard(slot)).map(({ data }) => data as Said)
        .filter(({ who }) => who === speaker.who).map(({ n }) => n);
      await eventually(async () => (await numbers()).some((n) => n >= from), 60_000);
      const all = await numbers();
      const wrong = all.findIndex((n, at) => at > 0 && n <= all[at - 1]!);
      if (wrong >= 0) throw new Error(`worker ${slot} of ${host.name} has heard ${all.slice(wrong - 1, wrong + 1).join(', then ')}`);
    }
  }
}
