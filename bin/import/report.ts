/** What became of each thing that another tool's configuration says. */
export interface Note {
  /** `kept`: the same here; `changed`: read why; `unneeded`: leave it away; `lost`: there is nothing like it. */
  kind: 'kept' | 'changed' | 'unneeded' | 'lost';
  key: string;
  text: string;
}

/** One configuration to be written. */
export interface Imported {
  /** Absolute. */
  file: string;
  title: string;
  config: Record<string, unknown>;
  notes: Note[];
  /** What starts it, as one would type it in the app's directory. */
  start: string;
}

/** Takes notes. */
export class Notes {
  readonly all: Note[] = [];
  kept(key: string, text: string): void { this.all.push({ kind: 'kept', key, text }); }
  changed(key: string, text: string): void { this.all.push({ kind: 'changed', key, text }); }
  unneeded(key: string, text: string): void { this.all.push({ kind: 'unneeded', key, text }); }
  lost(key: string, text: string): void { this.all.push({ kind: 'lost', key, text }); }
}

const HEADS: Readonly<Record<Note['kind'], string>> = { kept: 'kept', changed: 'changed', unneeded: 'not needed', lost: 'no equivalent' };

export function inWords({ notes, file, start, title }: Imported): string {
  const lines = (Object.keys(HEADS) as Note['kind'][]).flatMap((kind) => {
    const some = notes.filter((note) => note.kind === kind);
    return some.length === 0 ? [] : [`  ${HEADS[kind]}:`, ...some.map(({ key, text }) => `    ${key}: ${text}`)];
  });
  return [`${title}: ${file}`, ...lines, `  start it: ${start}`].join('\n');
}
