/** How many messages the bytes of a file hold, before they are decoded. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** Of each message, what its fields hold: a message, by its name, a list of int64, or what is `simple`. */
export type Parts = Readonly<Record<string, ReadonlyMap<number, string>>>

/** What takes no memory of its own is called so in `Parts`. */
export const simple = 'simple'

/** What a list of int64 is called in `Parts`. */
export const integers = 'int64[]'

/**
 * Counts messages, and what becomes objects too, integers of lists and fields that are not known, up to one more than
 * `most`. Two bytes can be a message, which takes hundreds in memory.
 *
 * @throws Error for bytes that end too early
 */
export function countMessages(bytes: Uint8Array, root: string, parts: Parts, most: number): number {
  const reader = new BinaryReader(bytes)
  const open = [{ name: root, end: bytes.length }]
  let count = 0
  while (count <= most) {
    while (open.length > 0 && reader.pos >= (open.at(-1)?.end ?? 0)) open.pop()
    const message = open.at(-1)
    if (message === undefined) break
    const [field, wireType] = reader.tag()
    const part = parts[message.name].get(field)
    if (part === simple) reader.skip(wireType, field)
    else if (part === undefined || wireType !== WireType.LengthDelimited) {
      count++
      reader.skip(wireType, field)
    } else if (part === integers) count += integersIn(reader.bytes())
    else {
      count++
      const length = reader.uint32()
      open.push({ name: part, end: reader.pos + length })
    }
  }
  return count
}

/** The last byte of each integer has no bit that says that more follow. */
function integersIn(packed: Uint8Array): number {
  let count = 0
  for (const byte of packed) if (byte < 0x80) count++
  return count
}
