import { spasscrypt } from './spasscrypt.ts'

process.exitCode = await spasscrypt(process.argv.slice(2), { out: process.stdout, err: process.stderr })
