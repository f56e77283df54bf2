/** Files of the app, absolute, links resolved. */
export interface LoadedFiles {
  /** Those that were not told before. */
  files: string[];
  /** They were read before the app was: a process that waits, empty, has read them already. */
  early: boolean;
}

declare module '../../lib/index.js' {
  interface InternalMessages {
    /** What a child has loaded, once it is up, and whenever that becomes more. */
    'dev.loaded': { from: 'worker' | 'agent'; to: 'master'; data: LoadedFiles };
    /** A file that a child is about to write; absolute. Again and again where it does it again and again. */
    'dev.wrote': { from: 'worker' | 'agent'; to: 'master'; data: string };
  }
}

/** Files that one message tells, and characters of a name. */
export const AT_ONCE = 5_000;
const LONGEST = 4_096;

const isPath = (value: unknown): value is string => typeof value === 'string' && value.length > 0 && value.length <= LONGEST;

/** The master believes nothing that a child says. */
export const isLoadedFiles = (value: unknown): value is LoadedFiles => {
  const { files, early } = (value ?? {}) as Partial<LoadedFiles>;
  return typeof early === 'boolean' && Array.isArray(files) && files.length <= AT_ONCE && Array.from(files).every(isPath);
};

export const isWritten = isPath;
