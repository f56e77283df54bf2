import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { noBrowser, openBrowser } from '../helpers/browser.js';
import { startDev } from '../helpers/dev.js';

const APP = `const http = require('node:http');
const { greet } = require('./greet.js');

http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/html');
  response.end('<h1>' + greet('world') + '</h1>');
}).listen(process.env.PORT);
`;
const GREET = `exports.greet = (name) => {
  return 'hello ' + name;
};
`;
const BROKEN = `exports.greet = (name) => {
  const title = '<script>alert(1)</script>';
  return 'hello ' + name;
};

// Is needed at once.
const settings = JSON.parse(process.env.NO_SUCH_SETTINGS);
`;

test('a failure is a page that can be read in light and dark, escapes what it shows, and gives way to the app at the next save', {
  timeout: 60_000, skip: noBrowser,
}, async (t) => {
  const dev = await startDev(t);
  dev.write('greet.js', GREET);
  dev.write('app.js', APP);
  await dev.answer(/hello world/);
  const browser = await openBrowser(t);
  const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
  const mistakes: string[] = [];
  page.on('pageerror', (error) => mistakes.push(error.message));
  page.on('dialog', (dialog) => {
    mistakes.push(dialog.message());
    void dialog.dismiss();
  });
  await page.goto(dev.cluster.url);
  assert.equal(await page.textContent('h1'), 'hello world');

  dev.write('greet.js', BROKEN);
  await dev.answer(/SyntaxError/);
  await page.reload();
  assert.equal(await page.textContent('h1'), 'The app does not start');
  assert.match(await page.textContent('.message') ?? '', /SyntaxError.*JSON/);
  assert.match(await page.textContent('figcaption') ?? '', /^greet\.js:7:23$/);
  assert.match(await page.textContent('.row.here') ?? '', /JSON\.parse/);

  const shots = process.env.SCREENSHOTS ?? mkdtempSync(path.join(os.tmpdir(), 'ht-shots-'));
  if (!process.env.SCREENSHOTS) t.after(() => rmSync(shots, { recursive: true, force: true }));
  const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor') as Promise<string>;
  await page.emulateMedia({ colorScheme: 'light' });
  const light = await background();
  const picture = await page.screenshot({ path: path.join(shots, 'light.png'), fullPage: true });
  assert.ok(picture.length > 10_000, 'the screenshot is not blank');
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.notEqual(await background(), light);
  await page.screenshot({ path: path.join(shots, 'dark.png'), fullPage: true });
  // Nothing is wider than a phone.
  await page.setViewportSize({ width: 360, height: 640 });
  assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'the page scrolls sideways on a phone');
  await page.screenshot({ path: path.join(shots, 'phone.png'), fullPage: true });

  // Another mistake: the page shows the new one by itself.
  dev.write('greet.js', 'exports.greet = require("./<img src=x onerror=alert(2)>");');
  await page.waitForFunction('document.querySelector(".message")?.textContent.includes("onerror")', undefined, { timeout: 10_000 });

  dev.write('greet.js', GREET.replace('hello', 'good morning'));
  await page.waitForFunction('document.querySelector("h1").textContent === "good morning world"', undefined, { timeout: 10_000 });
  assert.deepEqual(mistakes, []);
});
