/** Properties that stay what they are, and objects that are no plain data. */
import { invalidType } from './errors.ts'

/**
 * Gives properties, or the getters of a prototype, a setter that throws. JavaScript alone would set a field, which
 * nothing reads, and in sloppy mode pass over a getter in silence.
 *
 * @param owner - what errors call the object
 * @param fixes - of each name, what does what the caller may have wanted
 */
export function refuseSetting(object: object, owner: string, fixes: Readonly<Record<string, string>>): void {
  for (const [name, fix] of Object.entries(fixes)) {
    const property = Object.getOwnPropertyDescriptor(object, name) as PropertyDescriptor
    const { value, get = () => value, enumerable } = property
    const set = (given: unknown) => {
      throw invalidType(`${owner}.${name}`, 'left as it is', given, fix)
    }
    Object.defineProperty(object, name, { get, set, enumerable })
  }
}

/**
 * Makes structuredClone and postMessage refuse an object. They copy what they can list, so that of private state
 * an empty shell would be left. A function they refuse, and print: its name says what can be cloned.
 */
export function refuseCloning(object: object, advice: () => void): void {
  Object.defineProperty(object, advice.name, { value: advice, enumerable: true })
}
