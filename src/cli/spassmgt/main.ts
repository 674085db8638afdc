import { spassmgt } from './spassmgt.ts'

process.exitCode = await spassmgt(process.argv.slice(2), {
  in: process.stdin,
  out: process.stdout,
  err: process.stderr,
})
process.stdin.destroy()
