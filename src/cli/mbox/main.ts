import { mbox } from './mbox.ts'

process.exitCode = await mbox(process.argv.slice(2), { out: process.stdout, err: process.stderr })
