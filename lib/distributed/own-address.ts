import { lookup } from 'node:dns/promises'
import { hostname, networkInterfaces } from 'node:os'
import { environmentVariable } from '../backend/environment.ts'
import { contradiction, invalidValue, quoted } from '../checks/errors.ts'

/** The address of this machine at which the other ranks reach this one. */
export async function ownAddress(options: { host?: string; interface?: string }): Promise<string> {
  const { host, interface: name } = options
  if (host !== undefined && name !== undefined)
    throw contradiction(`host ${quoted(host)}`, `interface ${quoted(name)}`)
  // PyTorch's name.
  const network = name ?? (host === undefined ? environmentVariable('GLOO_SOCKET_IFNAME') : undefined)
  if (network) return addressOfInterface(network, name === undefined)
  const own = host ?? hostname()
  try {
    return (await lookup(own)).address
  } catch {
    const expected = 'a name or an address of this machine, which the other ranks reach it by,'
    throw invalidValue('host', expected, own, 'its name does not resolve: give host, or interface')
  }
}

function addressOfInterface(name: string, isFromEnvironment: boolean): string {
  const interfaces = networkInterfaces()
  const addresses = interfaces[name] ?? []
  const address = addresses.find(({ family }) => family === 'IPv4') ?? addresses[0]
  if (address) return address.address
  const there = `one of ${Object.keys(interfaces).join(', ')}`
  throw invalidValue(
    'interface',
    there,
    name,
    isFromEnvironment ? 'it is GLOO_SOCKET_IFNAME of the environment' : '',
  )
}
