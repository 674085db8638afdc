/** A sync in a process of its own, to be killed: `node killed-sync.ts PORT STORE`. */
import { defaultLimits } from '#gateway/backend/types.ts'
import { backendAt, Syncer, testStore } from './support.ts'

const [port, root] = process.argv.slice(2)
await using test = await testStore(root!)
process.stdout.write('begins\n')
await new Syncer(test.store, backendAt(Number(port)), { limits: defaultLimits }).sync()
