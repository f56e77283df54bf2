const WORDS: Readonly<Record<string, (place: string, where: string) => string>> = {
  EADDRINUSE: (place) => `${place} is taken by another process`,
  EACCES: (place) => `${place} may not be used by this user`,
  EADDRNOTAVAIL: (_, where) => `${where} is no address of this machine`,
};

/** `bind EADDRINUSE null:3000` in words, with what was said behind it; undefined for what is no failure of a listen. */
export function listenErrorInWords(said: string): string | undefined {
  const [, code = '', where = ''] = /^(?:listen|bind) (E[A-Z]+)\b.*?(\S+)$/.exec(said) ?? [];
  const port = /:(\d+)$/.exec(where)?.[1];
  const words = WORDS[code]?.(port === undefined ? where : `port ${port}`, where);
  return words && `${words} (${said})`;
}
