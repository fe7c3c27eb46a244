// A reader of JSON (RFC 8259) with one reading only, as docs/protocol.md asks for in "Strings, JSON and base64url".
//
// JSON.parse takes the last of two members of one name and makes numbers inexact. Objects come out as Map, so that no name means anything
// to the language; numbers as NumberText; strings also with half of a surrogate pair in them, for whoever reads the member to judge.

const MAX_LEVELS = 6
const MAX_ELEMENTS = 64

const SPACE = /[ \n\t\r]*/y
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const WORDS = { true: true, false: false, null: null }

/** Bad is what breaks a rule. */
export class Bad extends Error {}

/** NumberText is a number as it stands in the text. */
export class NumberText {
  constructor(text) { this.text = text }
}

/** halfPair finds half of a surrogate pair. */
export const halfPair = (text) => /\p{Cs}/u.test(text)

/** parseObject returns the one object that bytes are, as a Map. */
export function parseObject(bytes) {
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Bad('not UTF-8')
  }
  const reader = new Reader(text)
  const value = reader.value(0)
  reader.match(SPACE)
  if (reader.at !== text.length) throw new Bad('data after the object')
  if (!(value instanceof Map)) throw new Bad('not an object')
  return value
}

class Reader {
  constructor(text) {
    this.text = text
    this.at = 0
  }

  match(pattern) {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (!found) throw new Bad('not JSON')
    this.at = pattern.lastIndex
    return found[0]
  }

  takes(character) {
    this.match(SPACE)
    const found = this.text[this.at] === character
    if (found) this.at++
    return found
  }

  value(level) {
    if (this.takes('{')) return this.items(level, '}', new Map(), (into) => this.member(level + 1, into))
    if (this.takes('[')) return this.items(level, ']', new Set(), (into) => into.add({ value: this.value(level + 1) }))
    if (this.text[this.at] === '"') return this.string()
    for (const [word, value] of Object.entries(WORDS)) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return value
      }
    }
    return new NumberText(this.match(NUMBER))
  }

  items(level, end, into, read) {
    if (level >= MAX_LEVELS) throw new Bad('nested too deeply')
    while (into.size > 0 || !this.takes(end)) {
      read(into)
      if (into.size > MAX_ELEMENTS) throw new Bad('too many members or elements')
      if (this.takes(end)) break
      if (!this.takes(',')) throw new Bad('not JSON')
    }
    return into instanceof Map ? into : [...into].map((element) => element.value)
  }

  member(level, into) {
    this.match(SPACE)
    const name = this.string()
    if (into.has(name) || halfPair(name)) throw new Bad('a name stands twice, or is no text')
    if (!this.takes(':')) throw new Bad('not JSON')
    into.set(name, this.value(level))
  }

  string() {
    return JSON.parse(this.match(STRING)) // its syntax is checked: only the escapes are left to decode
  }
}
