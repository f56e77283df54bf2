import { spawn, type ChildProcess } from 'node:child_process';
import type { InstanceFiles } from '../../api/control.js';

/**
 * A worker in an endless loop cannot notice that its master was SIGKILLed, so somebody else has to (docs/decisions/reaper.md): a
 * shell that reads the live pids from a pipe and, when the pipe ends without a farewell, removes the instance's record and
 * socket, waits until they are gone or the drain's time is over and then kills what is left, with its children; last it ends
 * what children have left behind, as Leftovers does while the master lives. It sleeps in `read` and costs 1 MB; it lives in a
 * session of its own, so a terminal's Ctrl-C does not reach it.
 *
 * Where there is no /bin/sh nothing is done: such an image runs the master as PID 1, whose death the kernel cleans up after.
 */
const SCRIPT = `
stat() {
  read -r fields 2>/dev/null < "/proc/$1/stat" || return 1
  set -- \${fields##*) }
  state=$1 parent=$2 session=$4
}
master=$PPID
if stat "$master"; then ours=$session; else ours=$(echo $(ps -o pgid= -p "$master")); fi
pids=
while read -r verb arg; do
  case $verb in
    add) pids="$pids $arg" ;;
    drop) rest=; for p in $pids; do [ "$p" = "$arg" ] || rest="$rest $p"; done; pids=$rest ;;
    grace) grace=$arg ;;
    family) family=$arg ;;
    record) record=$arg ;;
    socket) socket=$arg ;;
    dir) dir=$arg ;;
    mark) mark=$arg ;;
    bye) exit 0 ;;
  esac
done
if [ -n "$record" ] && read -r line < "$record" || [ -n "$line" ]; then
  case $line in *"$mark"*) rm -f -- "$record" "$socket" ;; esac
fi 2>/dev/null
trap '[ -z "$dir" ] || rm -rf -- "$dir"' EXIT
tree() {
  printf '%s ' "$1"
  if [ -r "/proc/$1/task/$1/children" ]; then read -r kids < "/proc/$1/task/$1/children"
  else kids=$(ps -axo pid=,ppid= 2>/dev/null | while read -r c p; do [ "$p" = "$1" ] && printf '%s ' "$c"; done); fi
  for k in $kids; do tree "$k"; done
}
ours_of() {
  for p in $(tree "$1"); do
    if stat "$p"; then [ "$session" = "$ours" ] && printf '%s ' "$p"; else printf '%s ' "$p"; fi
  done
}
orphans() {
  found=
  if stat $$; then
    [ "$parent" != "$master" ] || { sleep 1; stat $$; }
    kids=
    read -r kids < "/proc/$parent/task/$parent/children"
    [ -n "$kids" ] || kids=$(cd /proc && echo [0-9]*)
    for k in $kids; do
      stat "$k" && [ "$state" != Z ] && [ "$session" = "$ours" ] || continue
      case " $(tr '\\0' ' ' < "/proc/$k/environ")" in
        *" HATCHERY_CHILD=$family:"*) found="$found $(ours_of "$k")" ;;
      esac
    done
  else
    found=$(ps -axwwEo pid=,pgid=,command= | while read -r p g c; do
      case "$g $c" in ("$ours "*" HATCHERY_CHILD=$family:"*) printf '%s ' "$p" ;; esac
    done)
  fi
}
n=0
while [ "$n" -lt "\${grace:-30}" ]; do
  left=
  for p in $pids; do kill -0 "$p" 2>/dev/null && left="$left $p"; done
  pids=$left
  [ -n "$pids" ] || break
  sleep 1
  n=$((n + 1))
done
all=
for p in $pids; do all="$all $(ours_of "$p")"; done
kill -9 $all 2>/dev/null
[ -n "$family" ] && orphans
[ -n "$found" ] || exit 0
kill -15 $found
for n in 1 2 3 4 5; do
  sleep 1
  orphans
  [ -n "$found" ] || exit 0
done
kill -9 $found
`;

export class Reaper {
  #shell: ChildProcess | null = null;
  #starting: NodeJS.Immediate | undefined;
  /** What is said before the shell runs; null: it does, or will not. */
  #early: string[] | null = [];

  /** `grace`: milliseconds the children may still take after the master's death. */
  start(grace: number): void {
    if (process.platform === 'win32') {
      this.#early = null;
      return;
    }
    // After the first forks, which need not wait for it: none of them runs the app's code before.
    this.#starting = setImmediate(() => this.#spawn());
    this.#say(`grace ${Math.ceil(grace / 1_000)}`);
  }

  #spawn(): void {
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'hatchery-reaper'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/' });
    shell.on('error', () => { this.#shell = null; });
    shell.on('exit', () => { this.#shell = null; });
    shell.stdin?.on('error', () => {});
    shell.unref();
    (shell.stdin as unknown as { unref?(): void } | null)?.unref?.();
    this.#shell = shell;
    this.#starting = undefined;
    shell.stdin?.write(this.#early?.join('') ?? '');
    this.#early = null;
  }

  /** Files of this instance, removed with it; `mark` tells the record from that of a later start in its place. */
  files({ record, socket, mark }: InstanceFiles): void {
    this.#say(`record ${record}`);
    this.#say(`socket ${socket}`);
    this.#say(`mark ${mark}`);
  }

  /** The master's own directory, removed when its children are gone. */
  dir(path: string): void {
    this.#say(`dir ${path}`);
  }

  /** What the marks of all children begin with: see Leftovers. */
  family(family: string): void {
    this.#say(`family ${family}`);
  }

  add(pid: number): void {
    this.#say(`add ${pid}`);
  }

  drop(pid: number): void {
    this.#say(`drop ${pid}`);
  }

  /** The master ends in order: nothing is left to kill. */
  end(): void {
    clearImmediate(this.#starting);
    this.#starting = undefined;
    this.#say('bye');
    this.#early = null;
    this.#shell?.stdin?.end();
    this.#shell = null;
  }

  #say(line: string): void {
    if (this.#early) this.#early.push(`${line}\n`);
    else this.#shell?.stdin?.write(`${line}\n`);
  }
}
