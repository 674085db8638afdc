# Runs $main with the project's own Node, wherever and by whatever link the command is called.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
node=$root/node_modules/node/bin/node
if [ ! -x "$node" ]; then
  echo "${0##*/}: $node is missing; run 'npm ci' in $root first" >&2
  exit 69
fi
# Node keeps the sources there without their types: a start takes a third of the time, a process half of the memory.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/node_modules/.cache/compiled}"
# Without --disable-sigusr1 whoever may send that signal opens a debugger in a daemon.
exec "$node" --disable-sigusr1 "$root/$main" "$@"
