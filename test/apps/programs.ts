import type { PublishedApp } from './published-app.js';

const page = { 'public/index.html': '<p>one</p>' };
const pageSaved = { saved: 'public/index.html', files: page } as const;
const bin = (name: string): string => `node_modules/.bin/${name}`;

/** Command lines that are servers, what speaks no HTTP, and what has no server at all. */
export const PROGRAMS: readonly PublishedApp[] = [
  { name: 'http-server', packages: ['http-server'], entry: bin('http-server'), args: ['public', '-c-1'], ...pageSaved },
  { name: 'serve', packages: ['serve'], entry: bin('serve'), args: ['public'], ...pageSaved },
  { name: 'sirv-cli', packages: ['sirv-cli'], entry: bin('sirv'), args: ['public', '--dev'], ...pageSaved },
  { name: 'local-web-server', packages: ['local-web-server'], entry: bin('ws'), args: ['-d', 'public', '-p', '{port}'], ...pageSaved },
  {
    name: 'json-server', packages: ['json-server@0.17'], entry: bin('json-server'), args: ['db.json', '-p', '{port}'], saved: 'db.json',
    ask: '/words', files: { 'db.json': '{"words":[{"id":1,"word":"one"}]}' },
  },
  {
    name: 'micro', packages: ['micro@10'], entry: bin('micro'), args: ['-l', 'tcp://127.0.0.1:{port}', 'index.js'], saved: 'index.js',
    files: { 'index.js': "module.exports = async () => 'one';" },
  },
  {
    name: 'fastify-cli', packages: ['fastify-cli', 'fastify@5'], entry: bin('fastify'), args: ['start', '-p', '{port}', 'plugin.js'],
    saved: 'plugin.js', files: { 'plugin.js': "module.exports = async (fastify, opts) => { fastify.get('/', async () => 'one'); };" },
  },
  {
    name: 'Node-RED', packages: ['node-red@4'], entry: bin('node-red'), args: ['-p', '{port}', '-u', 'data', '-s', 'settings.js'],
    saved: 'settings.js', flags: ['-w', '1'], ask: '/settings', patience: 60_000,
    files: { 'settings.js': "module.exports = { httpNodeRoot: '/one', flowFile: 'flows.json' };" },
  },
  {
    name: 'Socket.IO 4, sticky', packages: ['socket.io', 'socket.io-client'], ask: 'ask.mjs', flags: ['--sticky'],
    files: {
      'app.mjs': `import { createServer } from 'node:http';
import { Server } from 'socket.io';
const server = createServer();
new Server(server).on('connection', (socket) => { socket.emit('word', 'one'); });
server.listen(process.env.PORT);`,
      'ask.mjs': `import { io } from 'socket.io-client';
io('http://127.0.0.1:' + process.env.PORT).on('word', (word) => { console.log(word); process.exit(); });`,
    },
  },
  {
    name: 'ws', packages: ['ws'], ask: 'ask.mjs',
    files: {
      'app.mjs': `import { WebSocketServer } from 'ws';
new WebSocketServer({ port: Number(process.env.PORT) }).on('connection', (socket) => { socket.send('one'); });`,
      'ask.mjs': `import { WebSocket } from 'ws';
new WebSocket('ws://127.0.0.1:' + process.env.PORT).on('message', (word) => { console.log(String(word)); process.exit(); });`,
    },
  },
  {
    name: 'gRPC (@grpc/grpc-js)', packages: ['@grpc/grpc-js', '@grpc/proto-loader'], ask: 'ask.cjs',
    files: {
      'word.proto': 'syntax = "proto3"; service Words { rpc Say (None) returns (Word); } message None {} message Word { string word = 1; }',
      'app.cjs': `const grpc = require('@grpc/grpc-js');
const { Words } = grpc.loadPackageDefinition(require('@grpc/proto-loader').loadSync(__dirname + '/word.proto'));
const server = new grpc.Server();
server.addService(Words.service, { say: (call, done) => done(null, { word: 'one' }) });
server.bindAsync('127.0.0.1:' + process.env.PORT, grpc.ServerCredentials.createInsecure(), (error) => { if (error) throw error; });`,
      'ask.cjs': `const grpc = require('@grpc/grpc-js');
const { Words } = grpc.loadPackageDefinition(require('@grpc/proto-loader').loadSync(__dirname + '/word.proto'));
const client = new Words('127.0.0.1:' + process.env.PORT, grpc.credentials.createInsecure());
client.say({}, (error, answer) => { console.log(error ? String(error) : answer.word); process.exit(); });`,
    },
  },
  {
    name: 'Aedes, an MQTT broker (TCP)', packages: ['aedes', 'mqtt'], ask: 'ask.mjs',
    files: {
      'app.mjs': `import { createServer } from 'node:net';
import { Aedes } from 'aedes';
const broker = await Aedes.createBroker();
broker.authorizeSubscribe = (client, subscription, done) => {
  done(null, subscription);
  setTimeout(() => client.publish({ topic: 'word', payload: 'one', qos: 0, retain: false }, () => {}), 20);
};
createServer(broker.handle).listen(process.env.PORT);`,
      'ask.mjs': `import mqtt from 'mqtt';
const client = mqtt.connect('mqtt://127.0.0.1:' + process.env.PORT);
client.subscribe('word');
client.on('message', (topic, word) => { console.log(String(word)); process.exit(); });`,
    },
  },
  {
    name: 'dns2, a DNS server (UDP)', packages: ['dns2'], ask: 'ask.mjs', config: { server: false },
    files: {
      'app.cjs': `const dns2 = require('dns2');
const server = dns2.createServer({ udp: true, handle(request, send) {
  const response = dns2.Packet.createResponseFromRequest(request);
  const [{ name }] = request.questions;
  response.answers.push({ name, type: dns2.Packet.TYPE.TXT, class: dns2.Packet.CLASS.IN, ttl: 1, data: 'one' });
  send(response);
} });
server.listen({ udp: { port: Number(process.env.PORT), address: '127.0.0.1' } });`,
      'ask.mjs': `import { Resolver } from 'node:dns/promises';
const resolver = new Resolver({ timeout: 1000, tries: 1 });
resolver.setServers(['127.0.0.1:' + process.env.PORT]);
console.log(String(await resolver.resolveTxt('word.test').catch(String)));`,
    },
  },
  {
    name: 'BullMQ, a queue worker', packages: ['bullmq@5'], ask: 'ask.mjs', config: { server: false }, redis: true,
    files: {
      'app.mjs': `import { Worker } from 'bullmq';
const worker = new Worker('words', async () => 'one', { connection: { port: Number(process.env.REDIS), maxRetriesPerRequest: null } });
await worker.waitUntilReady();
export default ({ onClose }) => { onClose(() => worker.close()); };`,
      'ask.mjs': `import { Queue, QueueEvents } from 'bullmq';
const connection = { port: Number(process.env.REDIS) };
const events = new QueueEvents('words', { connection });
await events.waitUntilReady();
const job = await new Queue('words', { connection }).add('word', {});
console.log(await job.waitUntilFinished(events, 5000).catch(String));
process.exit();`,
    },
  },
];
