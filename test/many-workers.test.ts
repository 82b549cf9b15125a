/** examples/many-workers: manifests that Kubernetes takes, and scripts that tell every rank which it is. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Job } from 'kubernetes-types/batch/v1'
import type { Container, PodSpec, Service } from 'kubernetes-types/core/v1'
import { afterAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { repository } from './support/documentation.ts'
import { faultsOf } from './support/manifests.ts'

const examples = join(repository, 'examples/many-workers')
const folder = mkdtempSync(join(tmpdir(), 'batchnorm-many-workers-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Manifest {
  readonly kind: string
}

const manifests = new Map(
  readdirSync(examples)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => [name, objectsOf(name)]),
)

function objectsOf(name: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(examples, name), 'utf8')).map((document) => {
    expect([...document.errors, ...document.warnings]).toEqual([])
    return document.toJS() as Manifest
  })
}

const kindOf = <Kind>(name: string, kind: string) =>
  manifests.get(name)?.find((object) => object.kind === kind) as Kind
const variablesOf = ({ env = [] }: Container) =>
  Object.fromEntries(env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom?.fieldRef?.fieldPath]))

describe('the manifests', () => {
  test('have only fields that there are, all that have to be, of their types', () => {
    expect([...manifests.keys()]).toHaveLength(3)
    expect(faultsOf([...manifests.values()].flat())).toEqual([])
  })

  test('would not pass with others', () => {
    const wrong = (from: string, to: string) =>
      [...manifests.values()].flatMap((objects) => {
        const text = JSON.stringify(objects)
        return text.includes(from) ? (JSON.parse(text.replace(from, to)) as Manifest[]) : []
      })
    expect(faultsOf(wrong('"completionMode"', '"completionmode"'))).not.toEqual([])
    expect(faultsOf(wrong('"completions":4', '"completions":"4"'))).not.toEqual([])
    expect(faultsOf(wrong('"containers"', '"container"'))).not.toEqual([])
    expect(faultsOf(wrong('"fieldPath"', '"fieldpath"'))).not.toEqual([])
    expect(faultsOf(wrong('"cleanPodPolicy":"Running"', '"cleanPodPolicy":"Sometimes"'))).not.toEqual([])
    expect(faultsOf(wrong('"apiVersion":"batch/v1"', '"apiVersion":"batch/v2"'))).not.toEqual([])
  })

  test.each(['kubernetes-job.yaml', 'kubernetes-redis.yaml'])('of %s start all ranks, and once', (name) => {
    const { completions, parallelism, completionMode, backoffLimit, template } = kindOf<Job>(name, 'Job')
      .spec as NonNullable<Job['spec']>
    const { containers, restartPolicy } = template.spec as PodSpec
    expect([completionMode, backoffLimit, restartPolicy]).toEqual(['Indexed', 0, 'Never'])
    expect(variablesOf(containers[0])).toMatchObject({
      ENGINE: 'gloo',
      WORLD_SIZE: String(completions),
      RANK: "metadata.annotations['batch.kubernetes.io/job-completion-index']",
    })
    expect(parallelism).toBe(completions)
  })

  test('name rank 0 as its pod is named, and Redis as its service is', () => {
    const job = kindOf<Job>('kubernetes-job.yaml', 'Job')
    const service = kindOf<Service>('kubernetes-job.yaml', 'Service')
    const { subdomain, containers = [] } = job.spec?.template.spec ?? {}
    expect(variablesOf(containers[0]).MASTER_ADDR).toBe(`${job.metadata?.name}-0.${subdomain}`)
    expect(service.metadata?.name).toBe(subdomain)
    expect(service.spec).toMatchObject({
      clusterIP: 'None',
      selector: { 'batch.kubernetes.io/job-name': job.metadata?.name },
    })
    const redis = kindOf<Service>('kubernetes-redis.yaml', 'Service')
    const worker = kindOf<Job>('kubernetes-redis.yaml', 'Job').spec?.template.spec?.containers[0] as Container
    const [{ port }] = redis.spec?.ports ?? []
    expect(variablesOf(worker).RENDEZVOUS).toBe(`redis://${redis.metadata?.name}:${port}`)
  })
})

describe('slurm.sbatch', () => {
  /** Stands for Slurm: what it starts says what it was told. */
  const commands = {
    scontrol: '[[ "$*" == "show hostnames node[3-4]" ]] && printf "node3\\nnode4\\n"',
    srun: 'shift; for ((i = 0; i < SLURM_NTASKS; i++)); do SLURM_PROCID=$i "$@"; done',
    mpirun: 'echo "mpirun $* $ENGINE $WORLD_SIZE"',
    node: 'echo "$* $ENGINE $RANK of $WORLD_SIZE at $MASTER_ADDR:$MASTER_PORT"',
  }
  for (const [name, body] of Object.entries(commands)) {
    writeFileSync(join(folder, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 })
  }
  const run = (...words: string[]) =>
    execFileSync('bash', [join(examples, 'slurm.sbatch'), ...words], {
      encoding: 'utf8',
      env: {
        PATH: `${folder}:/usr/bin:/bin`,
        SLURM_JOB_ID: '123456',
        SLURM_JOB_NODELIST: 'node[3-4]',
        SLURM_NTASKS: '4',
      },
    })

  test('starts mpirun, which knows the ranks', () => {
    expect(run()).toBe('mpirun -x ENGINE node worker.mjs mpi \n')
  })

  test('tells each rank who it is, for Gloo', () => {
    const lines = [0, 1, 2, 3].map((rank) => `worker.mjs gloo ${rank} of 4 at node3:23456\n`)
    expect(run('gloo')).toBe(lines.join(''))
  })
})
