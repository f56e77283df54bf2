import { existsSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import type { Scope } from './cluster.js';
import { missing } from './skips.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => existsSync(file));

/** Why there is no browser; false when there is one. As the `skip` of a test. */
export const noBrowser: string | false = CHROMIUM ? false : missing.chromium;

/** A headless Chromium that asks nobody but the test's own servers. */
export async function openBrowser(scope: Scope): Promise<Browser> {
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
  scope.after(() => browser.close());
  return browser;
}
