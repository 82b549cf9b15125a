/** What BatchNormalization means in each version of ONNX's operators: 7, 9, 14 and 15 changed it. */
import { invalidType, invalidValue } from '../../checks/errors.ts'
import { integerOf } from './attributes.ts'
import type { Node, OperatorSet } from './messages.ts'

/** ONNX's own operators have the domain `''`, or its name in full. */
export function isOwn(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx'
}

/** @throws TypeError for a model that names no version, or several */
export function ownVersion(opsetImport: readonly OperatorSet[]): number {
  const versions = new Set(opsetImport.filter(({ domain }) => isOwn(domain)).map(({ version }) => version))
  const [version] = versions
  if (versions.size === 1) return Number(version)
  throw invalidType('opset_import', "with a version of ONNX's operators", [...versions].map(Number))
}

const attributes = ['epsilon', 'momentum', 'training_mode', 'spatial', 'is_test', 'consumed_inputs']

/**
 * Whether the batch normalizes. From version 14 on `training_mode` says so, before it further outputs do. What
 * earlier versions had beside may say what this one means anyway.
 *
 * @param rank - how many axes the input has
 * @throws RangeError for a version before 7, and for attributes and outputs that its version does not have
 */
export function trainingOf(name: string, node: Node, version: number, rank: number): boolean {
  if (!(version >= 7)) {
    const fix = 'its BatchNormalization has other defaults: convert the model with onnx.version_converter'
    throw invalidValue(`the operator set of ${name}`, '7 or later', version, fix)
  }
  const unknown = node.attribute.map((each) => each.name).filter((each) => !attributes.includes(each))
  if (unknown.length > 0) {
    const fix = 'what is not in that list cannot be carried over'
    throw invalidValue(`the attributes of ${name}`, `among ${attributes.join(', ')}`, unknown, fix)
  }
  const hasStatistics = node.output.slice(1).some((output) => output !== '')
  const mode = integerOf(node, 'training_mode', 0)
  if (version < 14 && node.attribute.some((each) => each.name === 'training_mode')) {
    const fix = `operator set ${version} has none: 14 does`
    throw invalidValue(`training_mode of ${name}`, 'left out', mode, fix)
  }
  if (version >= 14 && mode === 0 && hasStatistics) {
    const fix = 'further ones are those of training_mode: 1'
    throw invalidValue(`the outputs of ${name}`, 'one', node.output, fix)
  }
  if (mode !== 0 && mode !== 1) throw invalidValue(`training_mode of ${name}`, '0 or 1', mode)
  const training = version < 14 ? hasStatistics : mode === 1
  assertTest(name, node, training)
  assertSpatial(name, node, version, rank)
  return training
}

/** Version 6 had `is_test`, and files have kept it. */
function assertTest(name: string, node: Node, training: boolean): void {
  const meant = training ? 0 : 1
  const isTest = integerOf(node, 'is_test', meant)
  if ((isTest === 0) === training) return
  const fix = `its outputs and training_mode mean ${meant}, and operator sets from 7 on have no is_test`
  throw invalidValue(`is_test of ${name}`, String(meant), isTest, fix)
}

/** Without positions there is nothing that `spatial: 0` would normalize on its own. */
function assertSpatial(name: string, node: Node, version: number, rank: number): void {
  const spatial = integerOf(node, 'spatial', 1)
  if (spatial !== 0) return
  if (version >= 9) {
    const fix = `operator set ${version} has none: each channel is normalized as a whole`
    throw invalidValue(`spatial of ${name}`, 'left out', spatial, fix)
  }
  if (rank === 2) return
  const fix = 'it normalizes each position on its own, as no module here'
  throw invalidValue(`spatial of ${name}`, '1', spatial, fix)
}
