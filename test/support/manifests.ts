/** Manifests of Kubernetes, held to its types: those of the package are made of the schema that its server has. */
import { join } from 'node:path'
import ts from 'typescript'
import { repository } from './documentation.ts'

/** The types of each kind. Kubeflow's are written here as its `pytorch_types.go` and `common_types.go` have them. */
const declarations = `
import type { Deployment } from 'kubernetes-types/apps/v1'
import type { Job } from 'kubernetes-types/batch/v1'
import type { PodTemplateSpec, Service } from 'kubernetes-types/core/v1'
import type { ObjectMeta } from 'kubernetes-types/meta/v1'

interface ReplicaSpec {
  replicas?: number
  restartPolicy?: 'Always' | 'OnFailure' | 'Never' | 'ExitCode'
  template?: PodTemplateSpec
}
interface PyTorchJob {
  apiVersion: 'kubeflow.org/v1'
  kind: 'PyTorchJob'
  metadata: ObjectMeta
  spec: {
    runPolicy?: {
      activeDeadlineSeconds?: number
      backoffLimit?: number
      cleanPodPolicy?: 'All' | 'Running' | 'None'
      suspend?: boolean
      ttlSecondsAfterFinished?: number
    }
    pytorchReplicaSpecs: { Master?: ReplicaSpec; Worker?: ReplicaSpec }
    nprocPerNode?: string
  }
}
interface Kinds {
  Deployment: Deployment
  Job: Job
  PyTorchJob: PyTorchJob
  Service: Service
}
`

/** What is wrong with each of these objects: fields that are unknown, missing, or of another type. */
export function faultsOf(objects: readonly { readonly kind: string }[]): string[] {
  const file = join(repository, 'test/manifests.program.ts')
  const constants = objects.map(
    (object, index) =>
      `export const object${index}: Kinds['${object.kind}'] & { apiVersion: string; kind: string } = ${JSON.stringify(object)}`,
  )
  const source = declarations + constants.join('\n')
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    lib: ['lib.es5.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = (name) => name === file || fileExists(name)
  host.getSourceFile = (name, target, ...rest) =>
    name === file ? ts.createSourceFile(name, source, target) : getSourceFile(name, target, ...rest)
  const program = ts.createProgram({ rootNames: [file], options, host })
  return [...program.getOptionsDiagnostics(), ...ts.getPreEmitDiagnostics(program)].map(({ messageText }) =>
    ts.flattenDiagnosticMessageText(messageText, '\n'),
  )
}
