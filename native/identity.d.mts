/** Name and version of the package, and a hash of its C++ sources: what an addon of them says. */
export function identity(): string
