/** What is not safetensors, told by its content: names lie, and a download that failed has the right one. */
import { Buffer } from 'node:buffer'
import type { Source } from './source.ts'

/** The beginning and the end of a file, a character for each byte. */
interface Ends {
  readonly head: string
  readonly tail: string
}

interface Format {
  /** As it stands in a sentence. */
  readonly name: string
  readonly matches: (ends: Ends) => boolean
  readonly fix: string
}

const endBytes = 2 ** 16
/** More than any JSON has in front of its first bracket. */
const startBytes = 64

const ofOriginal = 'load the checkpoint that it was made from'
const ofPyTorch =
  "in Python: safetensors.torch.save_file(torch.load(path, weights_only=True), 'model.safetensors')"
const ofKeras =
  "give its weights to fromConvention('keras', ...), or write them in Python with safetensors.numpy.save_file"

const isZip = begins('PK\x03\x04')

/** The first one that matches counts. */
const formats: readonly Format[] = [
  {
    name: 'a Git LFS pointer, which stands for a file that was not fetched',
    matches: begins('version https://git-lfs'),
    fix: 'git lfs pull fetches it',
  },
  {
    name: 'HTML, as of a page for a login or an error',
    matches: ({ head }) => /^(\xef\xbb\xbf)?\s*<(!doctype|!--|html|head|\?xml)/i.test(head),
    fix: 'download the file itself',
  },
  {
    name: 'JSON',
    matches: ({ head }) => isJson(head),
    fix: 'the index of a checkpoint in shards is the one JSON that loadSafetensors(path) reads',
  },
  { name: 'an HDF5 file (.h5 of Keras)', matches: begins('\x89HDF\r\n\x1a\n'), fix: ofKeras },
  { name: 'a Keras file (.keras)', matches: zipWith('model.weights.h5'), fix: ofKeras },
  {
    name: 'a PyTorch file (.pt, .pth, .bin)',
    matches: zipWith('/data.pkl', '/constants.pkl'),
    fix: ofPyTorch,
  },
  // Protocols 2 to 5 begin with their number; torch.save wrote pickles before PyTorch 1.6.
  {
    name: 'a pickle (.pt, .pth, .bin of PyTorch, .pkl)',
    matches: ({ head }) => head[0] === '\x80' && isBetween(head, 1, 2, 5),
    fix: ofPyTorch,
  },
  {
    name: 'a NumPy archive (.npz)',
    matches: zipWith('.npy'),
    fix: "in Python: safetensors.numpy.save_file(dict(np.load(path)), 'model.safetensors')",
  },
  {
    name: 'a NumPy array (.npy)',
    matches: begins('\x93NUMPY'),
    fix: "in Python: safetensors.numpy.save_file({ name: np.load(path) }, 'model.safetensors')",
  },
  // A map of up to 15 texts: the collections of a model.
  {
    name: 'MessagePack (.msgpack of Flax)',
    matches: ({ head }) => isBetween(head, 0, 0x81, 0x8f) && isBetween(head, 1, 0xa1, 0xbf),
    fix: "in Python: safetensors.flax.save_file(flatten_dict(variables, sep='.'), 'model.safetensors')",
  },
  { name: 'a GGUF file', matches: begins('GGUF'), fix: ofOriginal },
  { name: 'a TensorFlow Lite model', matches: ({ head }) => head.startsWith('TFL3', 4), fix: ofOriginal },
  // ModelProto: its ir_version, 3 or more (a SavedModel of TensorFlow has 1), then a field of a later number.
  {
    name: 'an ONNX model',
    matches: ({ head }) =>
      head[0] === '\x08' && isBetween(head, 1, 3, 0x7f) && '\x12\x1a"*2:Br'.includes(head[2]),
    fix: "fromOnnx(bytes) of 'batchnorm/onnx' reads it, and batchnorm fold folds what is called .onnx",
  },
  { name: 'a gzip file', matches: begins('\x1f\x8b\x08'), fix: 'unpack it first' },
  { name: 'a zip file', matches: isZip, fix: 'unpack it first' },
]

/** The error for a file of another format; `undefined` for one of none that is known. */
export function otherFormatError({ name, size, read }: Source): RangeError | undefined {
  const length = Math.min(size, endBytes)
  const ends = { head: textOf(read(0, length)), tail: textOf(read(size - length, length)) }
  const format = formats.find(({ matches }) => matches(ends))
  if (format === undefined) return undefined
  return new RangeError(
    `Expected ${name} to be a safetensors file but received ${format.name} (${format.fix})`,
  )
}

/** Whether a file is JSON by its beginning. That of a safetensors file may have the same first character. */
export function beginsAsJson({ size, read }: Source): boolean {
  return isJson(textOf(read(0, Math.min(size, startBytes))))
}

function isJson(head: string): boolean {
  // The length of a header has zeros in its upper bytes.
  return /^(\xef\xbb\xbf)?\s*[{[]/.test(head) && !head.slice(0, 8).includes('\0')
}

function begins(start: string): Format['matches'] {
  return ({ head }) => head.startsWith(start)
}

/** A zip with a member of such a name. Names are at its end, and the first one is at its beginning too. */
function zipWith(...names: string[]): Format['matches'] {
  return (ends) => isZip(ends) && names.some((name) => ends.head.includes(name) || ends.tail.includes(name))
}

function isBetween(text: string, at: number, least: number, most: number): boolean {
  const code = text.charCodeAt(at)
  return code >= least && code <= most
}

function textOf(bytes: ArrayBuffer): string {
  return Buffer.from(bytes).toString('latin1')
}
