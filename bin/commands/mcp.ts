import path from 'node:path';
import { Command } from '../command.js';
import type { Context } from '../common-bin.js';
import { instanceFlags, jsonFlag, type Flags } from '../flags.js';
import { isTerminal, printError, write } from '../output.js';

/** Versions of the protocol, the newest first; what is used of it is the same in each. */
const PROTOCOLS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];

const INSTRUCTIONS = 'Looks after the server of this app, which Hatchery runs: after a change of its code call `reload`, and '
  + '`last_error` where that fails.';

export class McpCommand extends Command {
  override get description(): string { return 'answer coding agents on standard input and output (Model Context Protocol)'; }

  override get words(): readonly string[] { return ['[target]']; }

  override get flags(): Flags { return { ...instanceFlags, ...jsonFlag }; }

  override async run({ argv }: Context): Promise<void> {
    const { RpcError, serveRpc } = await import('../mcp/rpc.js');
    const { isObject } = await import('../../lib/kit/misuse.js');
    const { TOOLS, assertArguments } = await import('../mcp/tools.js');
    const title = this.text(argv, 'title');
    const target = argv._[0];
    const dir = path.resolve(target ?? '.');
    const words = [...(target === undefined ? [] : [dir]), ...(title === undefined ? [] : ['--title', title])];
    if (isTerminal(0)) printError('waits for the messages of a coding agent on standard input; Ctrl-C ends it');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
    const methods = new Map<string, (params: Record<string, unknown>, signal: AbortSignal) => unknown>([
      ['initialize', ({ protocolVersion }) => ({
        protocolVersion: PROTOCOLS.find((version) => version === protocolVersion) ?? PROTOCOLS[0],
        capabilities: { tools: {} },
        serverInfo: { name: 'hatchery', version: this.version },
        instructions: INSTRUCTIONS,
      })],
      ['ping', () => ({})],
      ['tools/list', () => ({ tools: Object.entries(TOOLS).map(([name, { description, readOnly, fields }]) => ({
        name, description,
        inputSchema: { type: 'object', properties: fields, additionalProperties: false },
        annotations: { readOnlyHint: readOnly, destructiveHint: false, openWorldHint: false },
      })) })],
      ['tools/call', ({ name, arguments: said }, signal) => {
        const given = said ?? {};
        if (!isObject(given)) throw new RpcError('params', `arguments: expected an object, found ${JSON.stringify(said)}`);
        const tool = typeof name === 'string' && Object.hasOwn(TOOLS, name) ? TOOLS[name] : undefined;
        if (!tool) throw new RpcError('params', `unknown tool: ${String(name)}; known are ${Object.keys(TOOLS).join(', ')}`);
        assertArguments(tool, given);
        return tool.call(given, { words, dir }, signal);
      }],
    ]);
    await serveRpc(process.stdin, (line) => write(1, line), methods);
    process.exit(0);
  }
}
