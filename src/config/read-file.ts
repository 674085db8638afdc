/** Files of the configuration, read as a whole and never larger than expected. */
import { readFile, stat } from 'node:fs/promises'
import { ConfigError } from './finding.ts'

/** Octets of a file that may not be longer than `limit`. Throws ConfigError, or what the file system says. */
export const readLimited = async (path: string, limit: number): Promise<Buffer> => {
  const { size } = await stat(path)
  if (size > limit)
    throw new ConfigError([
      {
        severity: 'error',
        file: path,
        line: undefined,
        option: undefined,
        message: `has ${size} octets; at most ${limit} are read`,
      },
    ])
  return readFile(path)
}
