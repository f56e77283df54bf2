import { nearest } from '../../lib/kit/misuse.js';
import { SLOT_SOCKET_DIR, slotSocketPath } from '../../plugins/sticky-session/slot-socket-path.js';
import { Command, usageError } from '../command.js';
import type { Context } from '../common-bin.js';
import { configFlags, jsonFlag, type Flags } from '../flags.js';
import { answer } from '../output.js';
import { readRequest } from './config.js';

interface Site {
  title: string;
  port: number;
  secure: boolean;
  sockets: string[];
}

/**
 * What each proxy wants to read. Consistent hashing, so that a slot that is away moves only its own clients. No slot is ever
 * taken for dead: one without a worker lets its connections wait for the next, and one that was scaled away has no file.
 */
const PROXIES: Readonly<Record<string, (site: Site) => string>> = {
  nginx: ({ title, port, secure, sockets }) => `\
# ${title}: one unix socket for each slot, the client's address decides. Belongs into http { }.
# Behind another proxy, or for clients who share an address, hash what tells them apart: $http_x_forwarded_for, $cookie_<name>.
map $http_upgrade $connection_of_${name(title)} {
    default upgrade;
    ''      '';
}

upstream ${name(title)} {
    hash $remote_addr consistent;
${sockets.map((socket) => `    server ${JSON.stringify(`unix:${socket}`)} max_fails=0;`).join('\n')}
    keepalive 64;
    # Before the worker does (Node: 5 s): a POST on a connection that it closes just then would be lost. Less where the app keeps them less.
    keepalive_timeout 4s;
}

server {
    listen ${port};
    listen [::]:${port};
    # The app says what is too much.
    client_max_body_size 0;

    location / {
        proxy_pass ${secure ? 'https' : 'http'}://${name(title)};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_of_${name(title)};
    }
}`,
  haproxy: ({ title, port, secure, sockets }) => `\
# ${title}: one unix socket for each slot, the client's address decides.
# With \`chroot\` in \`global\` (Debian's default) HAProxy looks for the sockets below that directory: remove it.
frontend ${name(title)}
    mode http
    bind :${port}
    bind :::${port} v6only
    timeout client 60s
    default_backend ${name(title)}_slots

backend ${name(title)}_slots
    mode http
    balance source
    hash-type consistent
    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    # A worker that dies takes its answers along: what changes nothing is asked again, of its replacement.
    option redispatch
    retries 2
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless { method GET HEAD OPTIONS }
    timeout connect 5s
    timeout server 60s
    timeout tunnel 1h
${sockets.map((socket, slot) => `    server slot${slot} ${quoted(`unix@${socket}`)}${secure ? ' ssl verify none' : ''}`).join('\n')}`,
};

const name = (title: string): string => title.replaceAll(/\W/g, '_');

/** In single quotes, which a quote within leaves for a moment. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

export class ProxyConfigCommand extends Command {
  override get description(): string { return 'print the configuration of a proxy that balances over one socket a slot'; }

  override get words(): readonly string[] { return ['<nginx|haproxy>', '[target]']; }

  override get flags(): Flags {
    return { ...configFlags, ...jsonFlag, listen: { kind: 'text', description: 'port that the proxy listens on', standard: '80' } };
  }

  override async run({ argv }: Context): Promise<void> {
    const [proxy, target] = argv._;
    const known = Object.keys(PROXIES);
    const render = proxy === undefined ? undefined : PROXIES[proxy];
    if (!render) {
      const near = proxy === undefined ? undefined : nearest(proxy, known);
      const found = proxy === undefined ? 'nothing' : `"${proxy}"`;
      throw usageError(`proxy-config: expected ${known.join(' or ')}, found ${found}${near ? `; did you mean "${near}"?` : ''}`);
    }
    const port = this.whole(argv, 'listen', 1) ?? 80;
    if (port > 65_535) throw usageError(`--listen: expected a port from 1 to 65535, found "${port}"`);
    const { loadConfig } = await import('../../lib/config/load.js');
    const { mostWorkers } = await import('../../lib/config/check.js');
    const { config, target: { dir: appDir } } = await loadConfig(readRequest({ ...argv, _: target === undefined ? [] : [target] }, this));
    const sticky = config.plugins['sticky-session'];
    const wanted = typeof sticky === 'object' ? sticky.perSlotSocket : undefined;
    if (!wanted) {
      throw usageError('proxy-config: there are no sockets to balance over; '
        + 'set `perSlotSocket: true` in plugins["sticky-session"] first');
    }
    const dir = (wanted as { dir?: string }).dir ?? SLOT_SOCKET_DIR;
    const sockets = Array.from({ length: mostWorkers(config) }, (_, slot) => slotSocketPath(appDir, dir, config.title, slot));
    const content = render({ title: config.title, port, secure: config.https?.key !== undefined, sockets });
    answer({ proxy, sockets, content }, content);
  }
}
