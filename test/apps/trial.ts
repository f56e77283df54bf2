import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bin, freePort, node } from '../helpers/cluster.js';
import type { PublishedApp } from './published-app.js';

/** What became of it: milliseconds of each step, or why one failed. */
export interface Result {
  name: string;
  version: string;
  steps: Partial<Record<Step, number>>;
  failed?: { step: Step; why: string };
}

export const STEPS = ['start', 'answer', 'reload', 'stop', 'dev', 'save', 'quit'] as const;
type Step = typeof STEPS[number];

/** Milliseconds for a command, and for an answer. */
const PATIENCE = 40_000;
const ANSWER = 15_000;
const INSTALLATION = 300_000;

interface Said { code: number | null; text: string }

function command(file: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv, timeout: number): Promise<Said> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd, env, timeout, killSignal: 'SIGKILL', maxBuffer: 1 << 26 }, (_error, out, err) => {
      resolve({ code: child.exitCode, text: `${out}${err}` });
    });
  });
}

/** One app: installed, started, asked, reloaded, asked, stopped; then developed: started, saved, asked, ended. */
export class Trial {
  readonly #app: PublishedApp;
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #result: Result;
  #port = 0;
  #dev: ChildProcess | null = null;
  #redis: ChildProcess | null = null;

  /** `dir`: its own, empty or of an earlier run. `home`: where instances are recorded. */
  constructor(app: PublishedApp, dir: string, home: string) {
    this.#app = app;
    this.#dir = dir;
    this.#env = { ...process.env, HOME: home, TMPDIR: home, NODE_ENV: undefined, NO_COLOR: '1', CI: undefined };
    for (const name of Object.keys(this.#env)) if (name.startsWith('npm_')) delete this.#env[name];
    this.#result = { name: app.name, version: '', steps: {} };
  }

  async run(): Promise<Result> {
    let step: Step = 'start';
    const doing = async (name: Step, does: () => Promise<void>): Promise<void> => {
      step = name;
      const started = performance.now();
      await does();
      this.#result.steps[name] = Math.round(performance.now() - started);
    };
    try {
      await this.#install();
      await this.#prepare();
      await doing('start', () => this.#framework('start', '-d', ...this.#words()));
      await doing('answer', () => this.#answers('one'));
      await doing('reload', () => this.#framework('reload'));
      await this.#answers('one');
      await doing('stop', () => this.#framework('stop'));
      await doing('dev', () => this.#develop());
      const file = path.join(this.#dir, this.#saved);
      await delay(1_000);
      await doing('save', async () => {
        writeFileSync(file, readFileSync(file, 'utf8').replace(/\bone\b/, 'two'));
        await this.#answers('two');
      });
      await doing('quit', () => this.#quit());
    } catch (error) {
      this.#result.failed = { step, why: (error as Error).message };
      await this.#framework('stop', '--if-running', '--force', '--timeout', '5000').catch(() => {});
    } finally {
      this.#dev?.kill('SIGKILL');
      this.#redis?.kill('SIGKILL');
    }
    return this.#result;
  }

  get #saved(): string {
    const { saved, files } = this.#app;
    return saved ?? Object.keys(files).find((file) => file.startsWith('app.')) ?? '';
  }

  async #install(): Promise<void> {
    const { name, packages, files, config } = this.#app;
    const manifest = { name: name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, ''), private: true };
    // Above it nobody's package.json is to count.
    mkdirSync(path.join(this.#dir, '.git'), { recursive: true });
    const all = { 'package.json': JSON.stringify(manifest), ...files, ...(config ? { '.clusterrc': JSON.stringify(config) } : {}) };
    for (const [file, text] of Object.entries(all)) {
      mkdirSync(path.dirname(path.join(this.#dir, file)), { recursive: true });
      writeFileSync(path.join(this.#dir, file), text);
    }
    const [first = ''] = packages;
    const words = ['install', '--no-audit', '--no-fund', '--loglevel', 'error', ...packages];
    const { code, text } = await command('npm', words, this.#dir, { ...this.#env, HOME: process.env.HOME }, INSTALLATION);
    if (code !== 0) throw new Error(`npm install: ${text.slice(-1_000)}`);
    const own = path.join(this.#dir, 'node_modules', first.replace(/(?<=.)@[^@/]*$/, ''), 'package.json');
    this.#result.version = (JSON.parse(readFileSync(own, 'utf8')) as { version: string }).version;
  }

  async #prepare(): Promise<void> {
    this.#port = await freePort();
    this.#env.PORT = String(this.#port);
    if (!this.#app.redis) return;
    const port = await freePort();
    this.#env.REDIS = String(port);
    this.#redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], { stdio: 'ignore' });
    await delay(500);
  }

  /** What follows the command. */
  #words(): string[] {
    const { entry, flags = [], args } = this.#app;
    const own = args?.map((word) => word.replace('{port}', String(this.#port)));
    const workers = flags.includes('-w') ? [] : ['-w', '2'];
    return [...(entry === undefined ? [] : [entry]), ...workers, ...flags, ...(own ? ['--', ...own] : [])];
  }

  async #framework(...words: string[]): Promise<void> {
    const { code, text } = await command(node, [bin, ...words], this.#dir, this.#env, this.#app.patience ?? PATIENCE);
    if (code !== 0) throw new Error(`framework ${words[0]} ended with ${code}: ${text.trim().slice(-1_500)}`);
  }

  async #answers(word: string): Promise<void> {
    let last = '';
    for (const until = performance.now() + ANSWER; performance.now() < until; await delay(20)) {
      last = await this.#ask().catch(String);
      if (last.includes(word)) return;
    }
    throw new Error(`no answer with "${word}": ${last.slice(0, 500)}`);
  }

  async #ask(): Promise<string> {
    const { ask = '/' } = this.#app;
    if (!ask.startsWith('/')) return (await command(node, [ask], this.#dir, this.#env, 8_000)).text;
    const headers = { accept: '*/*', 'apollo-require-preflight': '1' };
    return new Promise((resolve, reject) => {
      // A connection each: a reload waits for those that are kept.
      const request = http.get({ port: this.#port, path: ask, headers, agent: false, timeout: 5_000 }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => resolve(body));
      }).on('error', reject).on('timeout', () => { request.destroy(new Error('no answer within 5 s')); });
    });
  }

  async #develop(): Promise<void> {
    const words = this.#words().filter((word, at, all) => word !== '-w' && all[at - 1] !== '-w');
    const dev = this.#dev = spawn(node, [bin, 'dev', ...words], { cwd: this.#dir, env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [dev.stdout, dev.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { said += text; });
    await this.#answers('one').catch((error: Error) => { throw new Error(`${error.message}\n${said.slice(-1_500)}`); });
  }

  async #quit(): Promise<void> {
    const dev = this.#dev as ChildProcess;
    const ended = new Promise<number | null>((resolve) => { dev.once('exit', resolve); });
    dev.kill('SIGINT');
    const code = await Promise.race([ended, delay(10_000, 'it goes on')]);
    if (code !== 0) throw new Error(`dev ended with ${code}`);
  }
}
