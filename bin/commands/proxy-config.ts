import { SLOT_SOCKET_DIR, slotSocketPath } from '../../lib/slot-socket-path.js';
import { nearest } from '../../lib/nearest.js';
import { Command, usageError } from '../command.js';
import type { Context } from '../common-bin.js';
import { configFlags, type Flags } from '../flags.js';
import { print } from '../output.js';
import { readRequest } from './config.js';

interface Site {
  title: string;
  port: number;
  secure: boolean;
  sockets: string[];
}

/** What each proxy wants to read. Consistent hashing, so that a slot that is away moves only its own clients. */
const PROXIES: Readonly<Record<string, (site: Site) => string>> = {
  nginx: ({ title, port, secure, sockets }) => `# ${title}: one unix socket for each slot, the client's address decides.
# Behind another proxy, or for clients who share an address, hash what tells them apart: $http_x_forwarded_for, $cookie_<name>.
map $http_upgrade $${name(title)}_connection {
    default upgrade;
    ''      '';
}

upstream ${name(title)} {
    hash $remote_addr consistent;
${sockets.map((socket) => `    server unix:${socket} max_fails=1 fail_timeout=1s;`).join('\n')}
    keepalive 64;
}

server {
    listen ${port};

    location / {
        proxy_pass ${secure ? 'https' : 'http'}://${name(title)};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $${name(title)}_connection;
    }
}`,
  haproxy: ({ title, port, secure, sockets }) => `# ${title}: one unix socket for each slot, the client's address decides.
frontend ${name(title)}
    mode http
    bind :${port}
    timeout client 60s
    default_backend ${name(title)}_slots

backend ${name(title)}_slots
    mode http
    balance source
    hash-type consistent
    option forwardfor
    option redispatch
    retries 2
    timeout connect 5s
    timeout server 60s
    timeout tunnel 1h
${sockets.map((socket, slot) => `    server slot${slot} unix@${socket}${secure ? ' ssl verify none' : ''}`).join('\n')}`,
};

const name = (title: string): string => title.replaceAll(/\W/g, '_');

export class ProxyConfigCommand extends Command {
  override get description(): string { return 'print the configuration of a proxy that balances over one socket a slot'; }

  override get words(): readonly string[] { return ['<nginx|haproxy>', '[target]']; }

  override get flags(): Flags {
    return { ...configFlags, listen: { kind: 'text', description: 'port that the proxy listens on', standard: '80' } };
  }

  override async run({ argv }: Context): Promise<void> {
    const [proxy, target] = argv._;
    const known = Object.keys(PROXIES);
    const render = proxy === undefined ? undefined : PROXIES[proxy];
    if (!render) {
      const near = proxy === undefined ? undefined : nearest(proxy, known);
      throw usageError(`proxy-config: expected ${known.join(' or ')}, found ${proxy === undefined ? 'nothing' : `"${proxy}"`}${near ? `; did you mean "${near}"?` : ''}`);
    }
    const port = this.whole(argv, 'listen', 1) ?? 80;
    const { loadConfig } = await import('../../lib/config/load.js');
    const { config, target: { realDir } } = await loadConfig(readRequest({ ...argv, _: target === undefined ? [] : [target] }));
    const sticky = config.plugins['sticky-session'];
    const wanted = typeof sticky === 'object' ? sticky.perSlotSocket : undefined;
    if (!wanted) throw usageError('proxy-config: there are no sockets to balance over; set `perSlotSocket: true` in plugins["sticky-session"] first');
    const dir = (wanted as { dir?: string }).dir ?? SLOT_SOCKET_DIR;
    const sockets = Array.from({ length: config.workers }, (_, slot) => slotSocketPath(realDir, dir, config.title, slot));
    print(render({ title: config.title, port, secure: config.https?.key !== undefined, sockets }));
  }
}
