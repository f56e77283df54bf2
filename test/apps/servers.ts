import type { PublishedApp } from './published-app.js';

/** Frameworks and servers, each as its own pages show it. */
export const SERVERS: readonly PublishedApp[] = [
  {
    name: 'Express 5, listens',
    packages: ['express@5'],
    files: { 'app.cjs': `const app = require('express')();
app.get('/', (request, response) => { response.send('one'); });
app.listen(process.env.PORT);` },
  },
  {
    name: 'Express 4, bin/www of its generator',
    packages: ['express@4'],
    entry: 'bin/www',
    saved: 'routes/index.cjs',
    files: {
      'bin/www': `#!/usr/bin/env node
const app = require('../app.cjs');
const server = require('http').createServer(app);
app.set('port', process.env.PORT || '3000');
server.listen(app.get('port'));
server.on('error', (error) => { console.error(error.code); process.exit(1); });`,
      'app.cjs': "const app = require('express')();\napp.use('/', require('./routes/index.cjs'));\nmodule.exports = app;",
      'routes/index.cjs': "module.exports = require('express').Router().get('/', (request, response) => response.send('one'));",
    },
  },
  {
    name: 'Koa 3 with its router, exported',
    packages: ['koa@3', '@koa/router'],
    files: { 'app.mjs': `import Koa from 'koa';
import Router from '@koa/router';
const router = new Router();
router.get('/', (ctx) => { ctx.body = 'one'; });
export default new Koa().use(router.routes());` },
  },
  {
    name: 'Fastify 5, listens',
    packages: ['fastify@5'],
    files: { 'app.mjs': `import Fastify from 'fastify';
const app = Fastify({ logger: true });
app.get('/', async () => 'one');
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });` },
  },
  {
    name: 'Fastify 4, a plugin as fastify-cli has it',
    packages: ['fastify@4', '@fastify/autoload@5'],
    saved: 'routes/root.js',
    files: {
      'app.js': `const path = require('node:path');
module.exports = async function (fastify, opts) {
  fastify.register(require('@fastify/autoload'), { dir: path.join(__dirname, 'routes'), options: Object.assign({}, opts) });
};`,
      'routes/root.js': "module.exports = async (fastify, opts) => { fastify.get('/', async () => 'one'); };",
    },
  },
  {
    name: 'NestJS 11',
    packages: ['@nestjs/core@11', '@nestjs/common@11', '@nestjs/platform-express@11', 'reflect-metadata', 'rxjs'],
    files: { 'app.mjs': `import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
class Hello { say() { return 'one'; } }
Get()(Hello.prototype, 'say', Object.getOwnPropertyDescriptor(Hello.prototype, 'say'));
Controller()(Hello);
class Main {}
Module({ controllers: [Hello] })(Main);
const app = await NestFactory.create(Main);
await app.listen(process.env.PORT);` },
  },
  {
    name: 'Hono 4, exported',
    packages: ['hono@4'],
    files: { 'app.mjs': "import { Hono } from 'hono';\nexport default new Hono().get('/', (c) => c.text('one'));" },
  },
  {
    name: 'Hono 4 on @hono/node-server',
    packages: ['@hono/node-server', 'hono@4'],
    files: { 'app.mjs': `import { serve } from '@hono/node-server';
import { Hono } from 'hono';
serve({ fetch: new Hono().get('/', (c) => c.text('one')).fetch, port: Number(process.env.PORT) });` },
  },
  {
    name: 'h3 1, createApp() exported',
    packages: ['h3@1'],
    files: { 'app.mjs': `import { createApp, eventHandler } from 'h3';
export default createApp().use('/', eventHandler(() => 'one'));` },
  },
  {
    name: 'h3 2, serve()',
    packages: ['h3@2'],
    files: { 'app.mjs': `import { H3, serve } from 'h3';
serve(new H3().get('/', () => 'one'), { port: Number(process.env.PORT) });` },
  },
  {
    name: 'srvx',
    packages: ['srvx'],
    files: { 'app.mjs': "import { serve } from 'srvx';\nserve({ fetch: () => new Response('one') });" },
  },
  {
    name: 'Elysia on Node',
    packages: ['elysia', '@elysiajs/node'],
    files: { 'app.mjs': `import { Elysia } from 'elysia';
import { node } from '@elysiajs/node';
new Elysia({ adapter: node() }).get('/', () => 'one').listen(Number(process.env.PORT));` },
  },
  {
    name: 'hapi',
    packages: ['@hapi/hapi'],
    files: { 'app.cjs': `const server = require('@hapi/hapi').server({ port: process.env.PORT });
server.route({ method: 'GET', path: '/', handler: () => 'one' });
server.start();` },
  },
  {
    name: 'restify',
    packages: ['restify'],
    files: { 'app.cjs': `const server = require('restify').createServer();
server.get('/', (request, response, next) => { response.send('one'); next(); });
server.listen(process.env.PORT);` },
  },
  {
    name: 'Polka',
    packages: ['polka'],
    files: { 'app.cjs': "require('polka')().get('/', (request, response) => response.end('one')).listen(process.env.PORT);" },
  },
  {
    name: 'connect',
    packages: ['connect'],
    files: { 'app.cjs': "module.exports = require('connect')().use((request, response) => response.end('one'));" },
  },
  {
    name: 'Feathers 5 on Koa',
    packages: ['@feathersjs/feathers', '@feathersjs/koa'],
    ask: '/words',
    files: { 'app.mjs': `import { feathers } from '@feathersjs/feathers';
import { bodyParser, koa, rest } from '@feathersjs/koa';
const app = koa(feathers());
app.use(bodyParser());
app.configure(rest());
app.use('words', { find: async () => ['one'] });
app.listen(process.env.PORT);` },
  },
  {
    name: 'Apollo Server 5, standalone',
    packages: ['@apollo/server@5', 'graphql@16'],
    ask: '/?query=%7Bword%7D',
    files: { 'app.mjs': `import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
const resolvers = { Query: { word: () => 'one' } };
const server = new ApolloServer({ typeDefs: 'type Query { word: String }', resolvers, csrfPrevention: false });
await startStandaloneServer(server, { listen: { port: Number(process.env.PORT) } });` },
  },
  {
    name: 'GraphQL Yoga',
    packages: ['graphql-yoga@5', 'graphql@16'],
    ask: '/graphql?query=%7Bword%7D',
    files: { 'app.mjs': `import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';
const schema = createSchema({ typeDefs: 'type Query { word: String }', resolvers: { Query: { word: () => 'one' } } });
createServer(createYoga({ schema })).listen(process.env.PORT);` },
  },
  {
    name: 'tRPC 11, standalone',
    packages: ['@trpc/server@11'],
    ask: '/word',
    files: { 'app.mjs': `import { initTRPC } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';
const t = initTRPC.create();
createHTTPServer({ router: t.router({ word: t.procedure.query(() => 'one') }) }).listen(process.env.PORT);` },
  },
  {
    name: 'Egg 3',
    packages: ['egg@3'],
    saved: 'app/router.js',
    patience: 60_000,
    files: {
      'package.json': '{"name":"egg-app","private":true,"egg":{}}',
      'app/router.js': "module.exports = (app) => { app.router.get('/', (ctx) => { ctx.body = 'one'; }); };",
      'config/config.default.js': "exports.keys = 'k';\nexports.security = { csrf: false };",
    },
  },
];
