/** Start the page, and what every key does. */

import { App } from './app'
import { type Binding, listen, showKeys } from './keys'

const app = new App(() => showKeys(bindings))
const { state, map } = app

const bindings: Binding[] = [
  { keys: ['ArrowLeft', 'ArrowRight'], text: 'key.hour', run: (key) => app.step(key === 'ArrowLeft' ? -1 : 1) },
  { keys: [' '], text: 'key.play', run: () => app.timeline.toggle() },
  { keys: [...'123456789'], text: 'key.layer', run: (key) => app.layers.take(Number(key) - 1) },
  { keys: ['p', 'P'], text: 'key.palette', run: () => state.set({ pal: state.view.pal === 'cwa' ? 'cb' : 'cwa' }) },
  { keys: ['w', 'W'], text: 'key.barbs', run: () => state.set({ barbs: !state.view.barbs }) },
  { keys: ['l', 'L'], text: 'key.language', run: () => state.set({ lang: state.view.lang === 'zh' ? 'en' : 'zh' }) },
  {
    keys: ['t', 'T'],
    text: 'key.theme',
    run: () => state.set({ theme: state.view.theme === 'dark' ? 'light' : 'dark' }),
  },
  {
    keys: ['b', 'B'],
    text: 'key.board',
    run: () => {
      app.layout.tab('board')
      app.board.focus()
    },
  },
  {
    keys: ['/'],
    text: 'key.search',
    run: () => {
      app.layout.tab('place')
      app.place.search.focus()
    },
  },
  { keys: ['m', 'M'], text: 'key.member', run: (key) => app.place.trace(key === 'm' ? 1 : -1) },
  { keys: ['+', '=', '-'], text: 'key.zoom', run: (key) => map.view.enlarge(key === '-' ? 0.5 : 2) },
  { keys: ['a', 's', 'd', 'f'], text: 'key.pan', run: (key) => map.view.pan(...PANS[key]) },
  { keys: ['Escape'], text: 'key.back', run: () => state.set({ place: null }) },
  { keys: ['?'], text: 'key.help', run: () => showKeys(bindings) },
]

const PANS: Record<string, [number, number]> = { a: [80, 0], s: [0, -80], d: [0, 80], f: [-80, 0] }

listen(bindings)
void app.start()
