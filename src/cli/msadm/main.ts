import { goOnAsMsUser } from '../../server/ms-user.ts'
import { msadm } from './msadm.ts'

process.exitCode = await msadm(process.argv.slice(2), {
  input: process.stdin,
  out: process.stdout,
  err: process.stderr,
  become: goOnAsMsUser,
})
