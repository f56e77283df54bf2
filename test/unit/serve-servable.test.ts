import assert from 'node:assert/strict';
import http, { type RequestListener } from 'node:http';
import { test } from 'node:test';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { describe, isEmpty, isFactory, kindOf, mayListenLater } from '../../lib/child/servable.js';

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
