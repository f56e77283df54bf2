import { spawn, type ChildProcess } from 'node:child_process';
import type { InstanceFiles } from '../../api/control.js';
import { LAST_LINES, READING } from '../../ipc/messages.js';
import type { Faults } from '../../kit/faults.js';

/**
 * A worker in an endless loop cannot notice that its master was SIGKILLed, so somebody else has to (docs/decisions/reaper.md): a
 * shell that reads the live pids from a pipe and, when the pipe ends without a farewell, removes the instance's record and
 * socket, waits until they are gone or the drain's time is over and then kills what is left, with its children, unless these are
 * to stay; who has closed by then and waits for a reader, as its title says, has its time for that. Last it ends
 * what children have left behind, as Leftovers does while the master lives. A pipe may end without the master's death, when a
 * write to it fails: so it looks whether it is still that one's child. It sleeps in `read` and costs 1 MB; it lives in a session
 * of its own, so a terminal's Ctrl-C does not reach it, and a signal to all of a service's processes does not end it.
 *
 * Where there is no /bin/sh nothing is done: such an image runs the master as PID 1, whose death the kernel cleans up after.
 */
const SCRIPT = `
trap '' TERM INT HUP
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
    alone) alone=$arg ;;
    record) record=$arg ;;
    socket) socket=$arg ;;
    dir) dir=$arg ;;
    mark) mark=$arg ;;
    bye) exit 0 ;;
  esac
done
parent() {
  if [ -r "/proc/$$/stat" ]; then read -r line < "/proc/$$/stat"; line=\${line##*) }; else line=$(ps -o state=,ppid= -p $$); fi
  set -- $line
  [ "$2" = "$PPID" ]
}
for n in 1 2 3 4; do
  parent || break
  [ "$n" = 4 ] && exit 0
  sleep 0.1 || sleep 1
done 2>/dev/null
line=
if [ -n "$record" ] && read -r line < "$record" || [ -n "$line" ]; then
  case $line in *"$mark"*) rm -f -- "$record" "$socket" ;; esac
fi 2>/dev/null
trap '[ -z "$dir" ] || rm -rf -- "$dir"' EXIT
tree() {
  printf '%s ' "$1"
  if [ -r "/proc/$1/task/$1/children" ]; then kids=$(cat "/proc/$1/task"/*/children 2>/dev/null)
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
patient() {
  n=0
  while [ "$n" -lt "$1" ]; do
    left=
    for p in $pids; do kill -0 "$p" 2>/dev/null && left="$left $p"; done
    pids=$left
    [ -n "$pids" ] || break
    sleep 1
    n=$((n + 1))
  done
}
end() {
  all=
  for p in $*; do
    if [ -n "$alone" ]; then all="$all $p"; else all="$all $(ours_of "$p")"; fi
  done
  kill -9 $all 2>/dev/null
}
patient "\${grace:-30}"
hung= reading=
for p in $pids; do
  if [ -r "/proc/$p/cmdline" ]; then title=$(tr '\\0' ' ' < "/proc/$p/cmdline"); else title=$(ps -o command= -p "$p"); fi
  case $title in "${READING}"*) reading="$reading $p" ;; *) hung="$hung $p" ;; esac
done
end $hung
pids=$reading
patient ${LAST_LINES / 1_000}
end $pids
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

/** Until another shell is started in place of one that could not be, or has died; ms. */
const AGAIN = 5_000;

export class Reaper {
  #shell: ChildProcess | null = null;
  #starting: NodeJS.Immediate | undefined;
  #again: NodeJS.Timeout | undefined;
  #ended = false;
  /** What a shell has to know: settings, and the pids that live. */
  readonly #settings: string[] = [];
  readonly #pids = new Set<number>();
  readonly #faults: Faults;

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  /** `grace`: milliseconds the children may still take after the master's death. */
  start(grace: number): void {
    if (process.platform === 'win32') return;
    // After the first forks, which need not wait for it: none of them runs the app's code before.
    this.#starting = setImmediate(() => this.#begin());
    this.#set(`grace ${Math.ceil(grace / 1_000)}`);
  }

  #begin(): void {
    this.#starting = undefined;
    if (this.#faults.run('reaper', () => this.#spawn()) === undefined) this.#later();
  }

  /** Unreferenced: it is the children who keep a master up. */
  #later(): void {
    this.#shell = null;
    if (this.#ended) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#begin(), AGAIN).unref();
  }

  #spawn(): true {
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'hatchery-reaper'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/' });
    const lost = (): void => { if (this.#shell === shell) this.#later(); };
    shell.on('error', lost).on('exit', lost);
    shell.stdin?.on('error', lost);
    shell.unref();
    (shell.stdin as unknown as { unref?(): void } | null)?.unref?.();
    this.#shell = shell;
    shell.stdin?.write([...this.#settings, ...[...this.#pids].map((pid) => `add ${pid}`)].map((line) => `${line}\n`).join(''));
    return true;
  }

  /** Files of this instance, removed with it; `mark` tells the record from that of a later start in its place. */
  files({ record, socket, mark }: InstanceFiles): void {
    for (const line of [`record ${record}`, `socket ${socket}`, `mark ${mark}`]) this.#set(line);
  }

  /** The master's own directory, removed when its children are gone. */
  dir(path: string): void {
    this.#set(`dir ${path}`);
  }

  /** Of a child only itself is killed: `leaveChildren`. */
  alone(): void {
    this.#set('alone on');
  }

  /** What the marks of all children begin with: see Leftovers. */
  family(family: string): void {
    this.#set(`family ${family}`);
  }

  add(pid: number): void {
    this.#pids.add(pid);
    this.#say(`add ${pid}`);
  }

  drop(pid: number): void {
    this.#pids.delete(pid);
    this.#say(`drop ${pid}`);
  }

  /** The master ends in order: nothing is left to kill. */
  end(): void {
    this.#ended = true;
    clearImmediate(this.#starting);
    clearTimeout(this.#again);
    this.#say('bye');
    this.#shell?.stdin?.end();
    this.#shell = null;
  }

  #set(line: string): void {
    this.#settings.push(line);
    this.#say(line);
  }

  #say(line: string): void {
    this.#shell?.stdin?.write(`${line}\n`);
  }
}
