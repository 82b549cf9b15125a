/** Hosts of one machine: network namespaces, joined by a bridge in one more. */
import { execFileSync } from 'node:child_process'

export interface Host {
  /** What runs a program on it. */
  readonly command: readonly string[]
  readonly address: string
}

const prefix = `batchnorm-${process.pid}`

/** Whether this user may make them; it says so if not. */
export function hasNetworkNamespaces(): boolean {
  try {
    ip('netns', 'add', `${prefix}-try`)
    ip('netns', 'del', `${prefix}-try`)
    return true
  } catch {
    console.warn('NOT TESTED: hosts in network namespaces. apt-get install iproute2, and run as root')
    return false
  }
}

/** Makes hosts, each with a network interface `eth0`, and removes them afterwards. */
export async function withHosts(count: number, use: (hosts: Host[]) => Promise<void>): Promise<void> {
  const hub = `${prefix}-hub`
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
  try {
    for (const name of [hub, ...names]) ip('netns', 'add', name)
    ip('-n', hub, 'link', 'add', 'bridge', 'type', 'bridge')
    ip('-n', hub, 'link', 'set', 'bridge', 'up')
    const hosts = names.map((name, index) => {
      const address = `10.77.0.${index + 1}`
      const port = `port${index}`
      ip('-n', hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
      ip('-n', hub, 'link', 'set', port, 'master', 'bridge', 'up')
      ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0')
      for (const link of ['eth0', 'lo']) ip('-n', name, 'link', 'set', link, 'up')
      return { command: ['ip', 'netns', 'exec', name], address }
    })
    await use(hosts)
  } finally {
    for (const name of [hub, ...names]) {
      try {
        ip('netns', 'del', name)
      } catch {
        // It was not made.
      }
    }
  }
}

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: 'pipe' })
}
