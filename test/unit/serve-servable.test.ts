import assert from 'node:assert/strict';
import http, { type RequestListener } from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { directory } from '../helpers/config-dir.js';
import { adapted, describe, isEmpty, isFactory, isFastifyPlugin, kindOf, mayListenLater } from '../../lib/child/servable.js';

const listener: RequestListener = (_request, response) => response.end();

const servable: Record<string, [value: unknown, brings: 'server' | 'listener']> = {
  'a request listener': [listener, 'listener'],
  'Express': [express(), 'listener'],
  'Koa': [new Koa(), 'listener'],
  'Fastify': [fastify(), 'server'],
  'Hono': [new Hono(), 'listener'],
  'an object with fetch': [{ fetch: () => new Response('hi') }, 'listener'],
  'an http server': [http.createServer(listener), 'server'],
};

for (const [name, [value, brings]] of Object.entries(servable)) {
  test(`${name} is served by ${brings === 'server' ? 'the server it brings' : 'a server of ours'}`, () => {
    const kind = kindOf(value);
    assert.ok(kind?.[brings]);
    assert.equal(isFactory(value), false);
  });
}

class App {}

/** What is none of these: is it a factory, may the app still listen by itself, and how is it called. */
const others: [value: unknown, factory: boolean, later: boolean, text: string][] = [
  [() => listener, true, false, 'a function with no parameter'],
  [(context: object) => context, true, false, 'a function with one parameter'],
  [App, false, false, 'the class App'],
  [undefined, false, true, 'nothing'],
  [{}, false, true, 'an empty object'],
  [{ app: 1, start: 2 }, false, true, 'an object with the keys app, start'],
  [null, false, false, 'null'],
  [42, false, false, 'the number 42'],
  ['hi', false, false, 'the string "hi"'],
  [[listener], false, false, 'an array'],
];

for (const [value, factory, later, text] of others) {
  test(`${text} is ${factory ? 'called' : 'not served'}`, () => {
    assert.equal(kindOf(value), undefined);
    assert.equal(isFactory(value), factory);
    assert.equal(mayListenLater(value), later);
    assert.equal(describe(value), text);
  });
}

test('empty is what says nothing', () => {
  assert.deepEqual([undefined, {}, { a: 1 }, null, []].map(isEmpty), [true, true, false, false, false]);
});

const plugin = Object.assign(async (app: unknown) => app, { [Symbol.for('skip-override')]: true });
const plugins: [text: string, value: unknown, is: boolean][] = [
  ['fastify-cli\'s', async function routes(fastify: unknown, opts: unknown) { return [fastify, opts]; }, true],
  ['one without options', async (fastify: unknown) => fastify, true],
  ['one with a callback', function (app: unknown, options: unknown, done: () => void) { done(); return [app, options]; }, true],
  ['one with unused options', (app: unknown, _opts: unknown) => app, true],
  ['one that fastify-plugin has marked', plugin, true],
  ['a request listener', listener, false],
  ['a function of the context', (context: unknown) => context, false],
  ['a sum', (a: number, b: number) => a + b, false],
];

for (const [text, value, is] of plugins) {
  test(`a Fastify plugin or not: ${text}`, () => {
    assert.equal(isFastifyPlugin(value), is);
    if (is) assert.equal(isFactory(value), false);
  });
}

test('h3\'s app, and a handler alone, are served as the app\'s own h3 has it; without one they come back as they are', (t) => {
  const dir = directory(t, {
    'node_modules/h3/index.js': `exports.createApp = () => ({ use: (handler) => ({ only: handler }) });
exports.toNodeListener = (app) => Object.assign((request, response) => response.end(), { app });`,
  });
  const handler = Object.assign((event: unknown) => event, { __is_handler__: true });
  const app = { use() {}, stack: [], handler };
  const listenerOf = (value: unknown, file: string) => adapted(value, file, () => undefined) as { app?: unknown };
  assert.equal(kindOf(app), undefined);
  assert.equal(isFactory(handler), false);
  assert.equal(listenerOf(app, path.join(dir, 'app.js')).app, app);
  assert.deepEqual(listenerOf(handler, path.join(dir, 'app.js')).app, { only: handler });
  assert.ok(kindOf(listenerOf(app, path.join(dir, 'app.js')))?.listener);
  assert.equal(listenerOf(app, '/nowhere/app.js'), app);
});
