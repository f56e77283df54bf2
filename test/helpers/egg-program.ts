import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fixture, node, root, type Scope } from './cluster.js';
import { eventually } from './eventually.js';

interface Message {
  action: string;
  data?: unknown;
  from?: string;
}

/** A program that calls `startCluster` of hatchery/egg: its parent hears what it sends, as Egg's tools do. */
export class EggProgram {
  readonly child: ChildProcess;
  readonly messages: Message[] = [];
  readonly exit: Promise<number | null>;
  stdout = '';
  stderr = '';

  constructor(t: Scope, options: object, { env = {}, execArgv = [] }: { env?: NodeJS.ProcessEnv; execArgv?: string[] } = {}) {
    const home = mkdtempSync(path.join(os.tmpdir(), 'ht-egg-'));
    const app = fixture('egg-start');
    this.child = fork(fixture('egg-program.mjs'), [JSON.stringify({ baseDir: app, workers: 1, ...options })], {
      cwd: root, silent: true, execPath: node, execArgv, env: { ...process.env, NODE_ENV: 'production', HOME: home, ...env },
    });
    this.exit = new Promise((resolve) => { this.child.once('exit', resolve); });
    t.after(async () => {
      this.child.kill('SIGKILL');
      await this.exit;
      rmSync(home, { recursive: true, force: true });
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => { this.stdout += text; });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.stderr += text; });
    this.child.on('message', (message) => { this.messages.push(message as Message); });
  }

  /** Waits for a message to the parent. */
  async told(action: string): Promise<Message> {
    await eventually(() => this.messages.some((one) => one.action === action), 60_000);
    return this.messages.find((one) => one.action === action) as Message;
  }

  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.exit;
  }
}
