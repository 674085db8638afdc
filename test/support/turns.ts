/** How long others wait for their turn in this process. */

/** CPU milliseconds of the longest turn of the event loop: what other work on the machine takes doesn't count. */
export function watchTurns(): { end(): number } {
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let longest = 0
  let last = cpuMs()
  let on = true
  const look = () => {
    const now = cpuMs()
    longest = Math.max(longest, now - last)
    last = now
    if (on) setImmediate(look)
  }
  setImmediate(look)
  return {
    end() {
      on = false
      return longest
    },
  }
}
