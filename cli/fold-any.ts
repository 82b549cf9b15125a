import { extname } from 'node:path'
import { Failure, failureOf } from './failure.ts'
import { type FoldOptions, fold } from './fold.ts'
import { assertFree } from './output.ts'

/** The command line of `batchnorm fold`, of which each kind of file has its part. */
interface FoldArguments extends Pick<FoldOptions, 'output' | 'force' | 'transposed'> {
  readonly into?: FoldOptions['into']
  readonly eps?: number
  readonly noneTransposed?: boolean
}

/** `batchnorm fold`: of an .onnx file by the graph in it, of a safetensors file by what is said. */
export async function foldAny(path: string, { noneTransposed, ...options }: FoldArguments): Promise<string> {
  const { into, eps, transposed = noneTransposed ? [] : undefined, output, force } = options
  if (extname(path).toLowerCase() !== '.onnx') {
    if (into === undefined)
      throw new Failure('Expected --into LAYER=BATCHNORM, such as fc1=bn1, but it is missing', 2)
    return fold(path, { into, eps: eps ?? 1e-5, transposed, output, force })
  }
  const said = {
    '--into': into,
    '--eps': eps,
    '--transposed': options.transposed,
    '--none-transposed': noneTransposed,
  }
  const told = Object.entries(said).find(([, value]) => value !== undefined)
  if (told !== undefined) {
    throw new Failure(`Expected no ${told[0]} for ${path} but received it (an .onnx file tells it itself)`, 2)
  }
  assertFree(output, force)
  try {
    // Only here: nothing else reads .onnx files.
    const { foldModel } = await import('./fold-onnx.ts')
    return await foldModel(path, output)
  } catch (error) {
    throw failureOf(error)
  }
}
