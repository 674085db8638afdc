# Runs $main with the project's own Node, wherever and by whatever link the command is called.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
node=$root/node_modules/node/bin/node
if [ ! -x "$node" ]; then
  echo "${0##*/}: $node is missing; run 'npm ci' in $root first" >&2
  exit 69
fi
# Node keeps the sources there without their types: a start takes a third of the time, a process half of the memory.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/node_modules/.cache/compiled}"
# Files are synced side by side: Node's own four threads would be the limit, and full when four of them hang.
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-16}"
# Without --disable-sigusr1 whoever may send that signal opens a debugger in a daemon.
exec "$node" --disable-sigusr1 "$root/$main" "$@"
