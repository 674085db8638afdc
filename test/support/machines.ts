/**
 * Two machines on this one: network namespaces, a link between them that can be cut, and a way to each from outside that stays.
 * Needs root and iproute2.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Machine {
  /** What a command is to begin with so that it runs there. */
  readonly command: readonly string[]
  /** Its address for clients outside. */
  readonly address: string
  /** Its address for the other machine. */
  readonly linkAddress: string
}

export interface TwoMachines extends Disposable {
  readonly a: Machine
  readonly b: Machine
  /** Takes the second machine's end of the link down: established connections hear nothing, neither data nor an end. */
  cut(): void
  heal(): void
}

const ip = (line: string) => execFileSync('ip', line.split(' '), { stdio: ['ignore', 'ignore', 'pipe'] })

/** Throws with what to do where this user may not make network namespaces. */
export function twoMachines(): TwoMachines {
  if (process.getuid?.() !== 0)
    throw new Error('Tests with two machines make network namespaces and mounts: run them as root, as CI does')
  const subnet = takeSubnet()
  const at = (host: number) => `10.211.${subnet.number}.${host}`
  const [a, b] = [`wherry${subnet.number}a`, `wherry${subnet.number}b`]
  const undo: (() => void)[] = [subnet.release]
  const dispose = () => {
    for (const step of undo.toReversed()) step()
  }
  try {
    for (const name of [a, b]) {
      ip(`netns add ${name}`)
      undo.push(() => ip(`netns del ${name}`))
      ip(`-n ${name} link set lo up`)
    }
    const join = (name: string, host: number) => {
      const outside = `wh${subnet.number}${name.at(-1)}`
      ip(`link add name ${outside} type veth peer name outside netns ${name}`)
      // With its namespace goes one end, and with that the other.
      ip(`addr add ${at(host)}/30 dev ${outside}`)
      ip(`link set ${outside} up`)
      ip(`-n ${name} addr add ${at(host + 1)}/30 dev outside`)
      ip(`-n ${name} link set outside up`)
    }
    join(a, 1)
    join(b, 5)
    ip(`-n ${a} link add between type veth peer name between netns ${b}`)
    ip(`-n ${a} addr add ${at(9)}/30 dev between`)
    ip(`-n ${b} addr add ${at(10)}/30 dev between`)
    ip(`-n ${a} link set between up`)
    ip(`-n ${b} link set between up`)
  } catch (error) {
    dispose()
    throw error
  }
  const machine = (name: string, address: number, linkAddress: number): Machine => ({
    command: ['ip', 'netns', 'exec', name],
    address: at(address),
    linkAddress: at(linkAddress),
  })
  return {
    a: machine(a, 2, 9),
    b: machine(b, 6, 10),
    cut: () => ip(`-n ${b} link set between down`),
    heal: () => ip(`-n ${b} link set between up`),
    [Symbol.dispose]: dispose,
  }
}

/** A number that no other test has now. One that was left behind by a killed run stays taken. */
function takeSubnet(): { readonly number: number; readonly release: () => void } {
  for (let number = 1; number < 255; number += 1) {
    const mark = join(tmpdir(), `wherry-machines-${number}`)
    try {
      closeSync(openSync(mark, 'wx'))
      return { number, release: () => rmSync(mark, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  throw new Error(`All 254 subnets for tests are taken: remove ${join(tmpdir(), 'wherry-machines-*')}`)
}
