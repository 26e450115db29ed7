/** Words in two languages, with the same keys. */

import en from '../lang/en.json'
import zh from '../lang/zh.json'
import type { Words } from './published'
import type { Lang } from './state'

export type Key = keyof typeof zh

const LANGUAGES: Record<Lang, Record<Key, string>> = { zh, en }

let current: Lang = 'zh'

/** Speak a language from now on. */
export function speak(lang: Lang): void {
  current = lang
  document.documentElement.lang = lang === 'zh' ? 'zh-Hant' : 'en'
}

/** The text of a key; `{name}` in it is replaced. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return LANGUAGES[current][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}

/** The text of a key that is put together, the end of the key itself where there is none. */
export function word(group: string, name: string, values: Record<string, string | number> = {}): string {
  const key = `${group}.${name}`
  return key in LANGUAGES[current] ? t(key as Key, values) : name
}

/** What is published in both languages, in the one that is spoken. */
export function said(words: Words): string {
  return words[current]
}

/** The other language beside it, for those who speak of the place to others. */
export function also(words: Words): string {
  return words[current === 'zh' ? 'en' : 'zh']
}

/** A number with a fixed count of digits, a dash where it is missing. */
export function digits(value: number, count = 0): string {
  return Number.isNaN(value) ? '–' : value.toFixed(count)
}

/** A share as whole percent. */
export function percent(share: number): string {
  return `${Math.round(100 * share)}%`
}
