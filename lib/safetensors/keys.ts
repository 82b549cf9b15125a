/** A string of JSON, or one of the characters that say whether it is a key, and of which object. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}:]/g

/** The first key that an object in this valid JSON has twice, where `JSON.parse` would keep the last one silently. */
export function repeatedKey(json: string): string | undefined {
  const objects: Set<string>[] = []
  let string = ''
  for (const [text] of json.matchAll(token)) {
    if (text === '{') objects.push(new Set())
    else if (text === '}') objects.pop()
    else if (text !== ':') string = text
    else {
      const key = JSON.parse(string)
      const keys = objects[objects.length - 1]
      if (keys.has(key)) return key
      keys.add(key)
    }
  }
  return undefined
}
