import { goOnAsMsUser } from '../../server/ms-user.ts'
import { sieveTest } from './sieve-test.ts'

process.exitCode = await sieveTest(process.argv.slice(2), {
  input: process.stdin,
  out: process.stdout,
  err: process.stderr,
  become: goOnAsMsUser,
})
