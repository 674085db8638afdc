/**
 * Tests and the programs that they start keep their compiled sources where `bin/` does: most tests of services start many short-lived
 * processes, and reading and stripping the sources is the greatest part of what one costs.
 */
import { resolve } from 'node:path'

/** Vitest's global set-up: workers, and what they start, inherit it. */
export default function compiled(): void {
  process.env.NODE_COMPILE_CACHE ??= resolve(import.meta.dirname, '../../node_modules/.cache/compiled')
}
