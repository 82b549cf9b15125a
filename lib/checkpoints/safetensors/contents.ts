import { type Metadata, readHeader } from './header.ts'
import type { Source } from './source.ts'
import { StoredTensor } from './stored-tensor.ts'

/** What a `SafetensorsFile` is of: one file, or the shards of an index. */
export interface Contents {
  /** How errors call it. */
  readonly name: string
  readonly metadata: Metadata
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly close: () => void
}

/** One file. The source is closed if it is not valid. */
export function contentsOf(source: Source): Contents {
  try {
    const { metadata, entries } = readHeader(source)
    const tensors = [...entries].map(([key, entry]) => [key, new StoredTensor(key, entry, source)] as const)
    return { name: source.name, metadata, tensors: new Map(tensors), close: source.close }
  } catch (error) {
    source.close()
    throw error
  }
}
