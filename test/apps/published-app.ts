/** An application, or a framework with a few lines on it, as the registry has it. */
export interface PublishedApp {
  /** In the table. */
  name: string;
  /** What is installed, as npm is told; the first one's version is in the table. */
  packages: readonly string[];
  /** The app's own files; `one` in what it answers becomes `two` at the save. */
  files: Readonly<Record<string, string>>;
  /** What is started; the directory where nothing is said. */
  entry?: string;
  /** Its own arguments; `{port}` is replaced. */
  args?: readonly string[];
  flags?: readonly string[];
  /** Its `.clusterrc`. */
  config?: object;
  /** Where `one` stands. */
  saved?: string;
  /** What is asked for by HTTP; of a file (`ask.mjs`): a client of another kind, run with PORT, which prints the answer. */
  ask?: string;
  /** It needs a Redis, and finds it at REDIS. */
  redis?: boolean;
  /** Milliseconds that it may take to start. */
  patience?: number;
}
