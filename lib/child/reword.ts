/** Gives an error another message, in its stack too; one that cannot be changed stays as it is. */
export function reword(error: Error, message: string): void {
  restack(error, error.stack?.replace(error.message, () => message));
  Reflect.set(error, 'message', message);
}

export function restack(error: Error, stack: string | undefined): void {
  Reflect.set(error, 'stack', stack);
}
