/** The records of migrations, for ms_syncd and for what else it is extended by. */
import type { Extension, ExtensionParts, OpenExtension } from '#gateway/ms_syncd/extension.ts'
import { OptionFault } from '#src/config/certificate-files.ts'
import { exitCodes } from '#src/server/process.ts'
import { StartError } from '#src/server/supervision.ts'
import { Migrations } from './migrations.ts'

/** An extension that uses the records. */
export type OpenWithMigrations = (parts: ExtensionParts, migrations: Migrations) => Promise<Extension>

/** In the order in which they are opened. Opening throws StartError for a key that can't be used. */
export const withMigrations = (...others: readonly OpenWithMigrations[]): readonly OpenExtension[] => {
  let opened: Migrations | undefined
  const own: OpenExtension = async (parts) => {
    opened = await Migrations.open(parts).catch((cause: unknown) => {
      if (!(cause instanceof OptionFault)) throw cause
      throw new StartError(cause.message, exitCodes.config)
    })
    return opened
  }
  return [
    own,
    ...others.map(
      (open): OpenExtension =>
        (parts) =>
          open(parts, opened!),
    ),
  ]
}
