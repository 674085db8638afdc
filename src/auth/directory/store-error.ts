/** What a server finds wrong, as an error of the accounts. */
import { ResultCodeError } from 'ldapts'
import { StoreError, type StoreErrorKind } from '../../base/errors.ts'
import { reasonOf } from './pool.ts'

/** RFC 4511 §4.1.9 */
export const [noSuchObject, insufficientAccess, alreadyExists] = [32, 50, 68]
/** What a server finds wrong with an entry. */
const invalid: readonly number[] = [16, 17, 18, 19, 20, 21, 34, 64, 65, 67]

export const isResult = (error: unknown, code: number): boolean =>
  error instanceof ResultCodeError && error.code === code

export const asStoreError = (error: unknown, what: string): StoreError => {
  if (error instanceof StoreError) return error
  const code = error instanceof ResultCodeError ? error.code : undefined
  const kind: StoreErrorKind =
    code === alreadyExists
      ? 'already-exists'
      : code === insufficientAccess
        ? 'no-permission'
        : code !== undefined && invalid.includes(code)
          ? 'invalid'
          : 'unavailable'
  return new StoreError(kind, `${what}: ${reasonOf(error)}`, { cause: error })
}
