/** What a parser of JSON does not tell: keys that are repeated, and how much it nests before it is parsed. */

const quote = '"'.charCodeAt(0)
const backslash = '\\'.charCodeAt(0)

/** The characters that give a text its structure, and where each is; a string is its first quote and its end. */
function forEachToken(json: string, visit: (character: string, begin: number, end: number) => void): void {
  for (let at = 0; at < json.length; at++) {
    if (json.charCodeAt(at) === quote) {
      const end = endOfString(json, at)
      visit('"', at, end)
      at = end - 1
    } else if ('{}[]:'.includes(json[at])) visit(json[at], at, at + 1)
  }
}

/** Right after the string that begins at `begin`. */
function endOfString(json: string, begin: number): number {
  for (let end = json.indexOf('"', begin + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let first = end
    while (json.charCodeAt(first - 1) === backslash) first--
    if ((end - first) % 2 === 0) return end + 1
  }
  return json.length
}

/** How many objects and arrays this text has, and how many lie in each other; it need not be valid JSON. */
export function nestingOf(json: string): { count: number; depth: number } {
  let count = 0
  let open = 0
  let depth = 0
  forEachToken(json, (character) => {
    if (character === '{' || character === '[') {
      count++
      depth = Math.max(depth, ++open)
    } else if (character === '}' || character === ']') open--
  })
  return { count, depth }
}

/** The first key that an object in this valid JSON has twice, where `JSON.parse` would keep the last one silently. */
export function repeatedKey(json: string): string | undefined {
  const objects: Set<string>[] = []
  let text: readonly [begin: number, end: number] = [0, 0]
  let repeated: string | undefined
  forEachToken(json, (character, begin, end) => {
    if (character === '{') objects.push(new Set())
    else if (character === '}') objects.pop()
    else if (character === '"') text = [begin, end]
    else if (character === ':') {
      const key = JSON.parse(json.slice(...text))
      const keys = objects[objects.length - 1]
      if (keys.has(key)) repeated ??= key
      keys.add(key)
    }
  })
  return repeated
}
