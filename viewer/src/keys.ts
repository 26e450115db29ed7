/** The keyboard: every control has a key, and `?` shows them. */

import { button, el, isTyping } from './dom'
import { t, type Key } from './i18n'

/** What a key does; the text says it in the list of keys. */
export interface Binding {
  keys: string[]
  text: Key
  run(key: string): void
}

/** Listen to keys, unless somebody types, and never to those that belong to the browser. */
export function listen(bindings: readonly Binding[]): void {
  document.addEventListener('keydown', (event) => {
    if (isTyping() || event.ctrlKey || event.metaKey || event.altKey) return
    const focused = document.activeElement
    const own =
      focused instanceof HTMLSelectElement || (focused instanceof HTMLInputElement && event.key.startsWith('Arrow'))
    const presses = focused instanceof HTMLButtonElement && event.key === ' '
    if (own || presses || (focused?.tagName === 'SUMMARY' && event.key === ' ')) return
    const scrolls = focused?.matches('.rows, .scroll') && ['ArrowUp', 'ArrowDown'].includes(event.key)
    const found = bindings.find(({ keys }) => keys.includes(event.key))
    if (!found || scrolls || document.querySelector('dialog[open]')) return
    event.preventDefault()
    found.run(event.key)
  })
}

const SHOWN: Record<string, string> = {
  ' ': 'Space',
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
}

/** Show all keys in a dialog. */
export function showKeys(bindings: readonly Binding[]): void {
  const rows = bindings.map(({ keys, text }) => {
    const named = [...new Set(keys.map((key) => SHOWN[key] ?? key.toUpperCase()))]
    const shown = named.length > 4 ? [named[0], '–', named.at(-1)!] : named
    const caps = shown.map((key) => (key === '–' ? ' – ' : el('kbd', {}, key)))
    return el('div', {}, el('dt', {}, ...caps), el('dd', {}, t(text)))
  })
  const dialog = el(
    'dialog',
    { class: 'keys', 'aria-labelledby': 'keys-title' },
    el('h2', { id: 'keys-title' }, t('help.title')),
    el('dl', {}, ...rows),
    el('p', {}, t('help.more')),
  )
  dialog.append(button(t('help.close'), () => dialog.close()))
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
}
