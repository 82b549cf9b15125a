/** safetensors files as anybody could write them, valid or not. */

/** A file of this header; `data` are the bytes after it, or how many zeros. */
export function fileOf(
  header: unknown,
  data: number | ArrayBufferView | Uint8Array = 0,
  length?: bigint,
): Uint8Array {
  const text =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const rest =
    typeof data === 'number'
      ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const bytes = new Uint8Array(8 + text.length + rest.length)
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true)
  bytes.set(text, 8)
  bytes.set(rest, 8 + text.length)
  return bytes
}

/** What a header says of a tensor. */
export function entry(dtype: unknown, shape: unknown, begin: unknown, end: unknown) {
  return { dtype, shape, data_offsets: [begin, end] }
}
