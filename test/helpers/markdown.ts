import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** Every page of the repository that people read, but for those of dependencies and tests' own apps. */
export function pages(): string[] {
  const here = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'];
  const below = ['docs', 'plugins'].flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => path.join(folder, file)));
  return [...here, ...below.filter((file) => file.endsWith('.md'))];
}

/** What is written, without the code blocks. */
const prose = (page: string): string => readFileSync(page, 'utf8').replace(/^(```+)[\s\S]*?^\1$/gm, '');

/** The targets of a page's links, as they are written. */
export const links = (page: string): string[] => [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] as string);

/** Names that `#...` may have on a page, as GitHub makes them of headings. */
export function anchors(page: string): Set<string> {
  const found = new Map<string, number>();
  for (const [, heading = ''] of prose(page).matchAll(/^#{1,6} +(.+)$/gm)) {
    const words = heading.trim().replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const name = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
    const times = found.get(name) ?? 0;
    found.set(name, times + 1);
    if (times > 0) found.set(`${name}-${times}`, 1);
  }
  return new Set(found.keys());
}

/** Paths of the repository that a page names as code, without a line's end or a folder's slash: `lib/kit/errors.ts`, `test/soak`. */
export const paths = (page: string): string[] => [
  ...prose(page).matchAll(/`((?:lib|plugins|bin|test|fixtures|docs)\/[\w./-]*[\w-])\/?`/g),
].map((match) => match[1] as string);
