import type { Buffer } from 'node:buffer'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  announcement,
  type Exchange,
  isComplete,
  missingRanks,
  oldJob,
  ranksWithout,
  valueIn,
} from './exchange.ts'

/** In a folder that all ranks see: each has a folder of its own in that of the job, which nobody can make twice. */
export async function exchangeByFile(directory: string, exchange: Exchange): Promise<Buffer[]> {
  const { rank, size, jobId, deadline } = exchange
  const folderOf = (other: number) => join(directory, jobId, `rank-${other}`)
  await mkdir(join(directory, jobId), { recursive: true })
  try {
    await mkdir(folderOf(rank))
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? oldJob(exchange) : error
  }
  // By a rename: whoever reads it reads all of it.
  await writeFile(join(folderOf(rank), 'writing'), announcement(exchange))
  await rename(join(folderOf(rank), 'writing'), join(folderOf(rank), 'value'))

  const values: Buffer[] = []
  do {
    for (const other of ranksWithout(size, (each) => each in values)) {
      const text = await textIfThere(join(folderOf(other), 'value'))
      if (text !== undefined) values[other] = valueIn(text, exchange, other)
    }
    if (isComplete(values, size)) return values
  } while (await deadline.pause())
  throw missingRanks(
    exchange,
    ranksWithout(size, (each) => each in values),
    `, in ${join(directory, jobId)}`,
  )
}

async function textIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
