/** Colour tables, and how packed numbers fall into their classes. */

export type Palette = 'cwa' | 'cb'
export type Theme = 'dark' | 'light'

/** What a page is told of a kind of numbers, see `stormcast_tw/exports/fields.py`. */
export interface Kind {
  shown_units: string
  zh: string
  en: string
  colours: string
  steps: number[]
}

/** How a field is packed: a whole number n is n * scale in the units that people read, `fill` is missing. */
export interface Packing {
  scale: number
  fill: number
}

/** As commonly coded for the Central Weather Administration's maps: 17 classes of rain, the first from 0.1 mm. */
const RAIN = [
  'c6c5c3',
  '9bffff',
  '00cfff',
  '0198ff',
  '0165ff',
  '309901',
  '32ff00',
  'f8ff00',
  'ffcb00',
  'ff9a00',
  'fa0300',
  'cc0003',
  'a00000',
  '98009a',
  'c304cc',
  'f805f3',
  'fecbff',
]
/** A colour a degree, below 0 to 38 and more. */
const TEMPERATURE = [
  '117388',
  '207e92',
  '2e899c',
  '3d93a6',
  '4c9eb0',
  '5ba9ba',
  '69b4c4',
  '78bfce',
  '87cad8',
  '96d4e2',
  'a4dfec',
  'b3eaf6',
  '0c924b',
  '1d9a51',
  '2fa257',
  '40a95e',
  '51b164',
  '62b96a',
  '74c170',
  '85c876',
  '96d07c',
  'a7d883',
  'b9e089',
  'cae78f',
  'dbef95',
  'f4f4c3',
  'f7e78a',
  'f4d576',
  'f1c362',
  'eeb14e',
  'ea9e3a',
  'e78c26',
  'e07b03',
  'ed5138',
  'ed1759',
  'ad053a',
  '780101',
  '9c68ad',
  '845194',
  '8520a0',
]
/** Below force 1 to force 12: blues below a gale, then the yellow, orange and red of the lights for strong wind. */
const WIND = [
  'f7fbff',
  'deebf7',
  'c6dbef',
  '9ecae1',
  '6baed6',
  '4292c6',
  'ffe08a',
  'ffd400',
  'ffb700',
  'ff8c00',
  'f26a00',
  'e04a00',
  '9b1fc4',
]
/**
 * Cividis (Nunez, Anderton and Renslow 2018): lightness rises all along, for colour-blind readers too. These 17 of its
 * colours lie as evenly as they can: neighbours differ by 8.7 (CIE 1976) at least, for protanopes and deuteranopes too.
 */
const CIVIDIS = [
  '00224e',
  '002c66',
  '263d6e',
  '39486c',
  '4b546c',
  '5e626e',
  '727274',
  '848279',
  '948e77',
  'a39a74',
  'b1a570',
  'bfb06b',
  'ccba64',
  'd9c55c',
  'e5cf52',
  'f1d945',
  'fde334',
]
/** One hue, dark to light, for how likely and how soon. */
const ONE_HUE = ['17364a', '1b5268', '1f7088', '238fa6', '3badbf', '6cc7d2', 'a0dee3', 'd8f4f5']

export type Rgb = [number, number, number]

export function rgb(hex: string): Rgb {
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)) as Rgb
}

export function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`
}

/** `count` colours at equal distances along a ramp. */
export function along(ramp: readonly string[], count: number): Rgb[] {
  return Array.from({ length: count }, (_, n) => {
    const at = count === 1 ? ramp.length - 1 : (n / (count - 1)) * (ramp.length - 1)
    const low = Math.min(Math.floor(at), ramp.length - 2)
    const [from, to] = [rgb(ramp[low]), rgb(ramp[low + 1])]
    return from.map((value, c) => Math.round(value + (at - low) * (to[c] - value))) as Rgb
  })
}

/** A class of a legend: from its edge (in the units people read) on; null leaves the map bare. */
export interface ColourClass {
  from: number
  colour: Rgb | null
}

/** The classes of a kind, from the lowest. What lies below the first edge is the first class, from -Infinity. */
export function classes(kind: Kind, palette: Palette, theme: Theme): ColourClass[] {
  const edges = [-Infinity, ...kind.steps]
  const table = (hex: string[] | undefined, bare: boolean): ColourClass[] => {
    const shades = palette === 'cb' || !hex ? along(CIVIDIS, edges.length - (bare ? 1 : 0)) : hex.map(rgb)
    const colours = bare ? [null, ...shades] : shades
    return edges.map((from, n) => ({ from, colour: colours[Math.min(n, colours.length - 1)] }))
  }
  const made: Record<string, () => ColourClass[]> = {
    rain: () => table(RAIN, true),
    temperature: () => table(TEMPERATURE, false),
    wind: () => table(WIND, false),
    probability: () => chance(kind.steps, palette, theme),
    hours: () => soon(kind.steps, palette, theme),
  }
  return (made[kind.colours] ?? (() => table(undefined, false)))()
}

function ramp(palette: Palette, theme: Theme, count: number): Rgb[] {
  const shades = along(palette === 'cb' ? CIVIDIS : ONE_HUE, count)
  return theme === 'dark' ? shades : shades.reverse()
}

/** Below this a chance is not drawn: less than one member of twenty. */
export const LEAST_CHANCE = 0.05
/** Below this a chance is low, and hatched. */
export const LOW_CHANCE = 0.3

function chance(steps: number[], palette: Palette, theme: Theme): ColourClass[] {
  const shades = ramp(palette, theme, steps.length + 1)
  const drawn = [LEAST_CHANCE, ...steps].map((from, n) => ({ from, colour: shades[n] }))
  return [{ from: -Infinity, colour: null }, ...drawn]
}

/** The sooner, the stronger. */
function soon(steps: number[], palette: Palette, theme: Theme): ColourClass[] {
  const shades = ramp(palette, theme, steps.length).reverse()
  return [{ from: -Infinity, colour: shades[0] }, ...steps.map((from, n) => ({ from, colour: shades[n] }))]
}

/** The class that a number falls into: the last whose edge it reaches. */
export function classOf(table: readonly ColourClass[], value: number): ColourClass {
  return table[
    lastReached(
      table.map(({ from }) => from),
      value,
    )
  ]
}

function lastReached(edges: readonly number[], value: number): number {
  let found = 0
  for (let n = 1; n < edges.length; n++) if (value >= edges[n]) found = n
  return found
}

/** The whole number from which a packed field is at or above an edge. */
export function packedEdge(edge: number, scale: number): number {
  return edge === -Infinity ? -Infinity : Math.ceil(edge / scale - 1e-6)
}

/** Colours (0xAABBGGRR) of every whole number that fits, from `-offset` on, for a canvas of a little-endian machine. */
export interface Lookup {
  colours: Uint32Array
  offset: number
}

export function lookup(table: readonly ColourClass[], packing: Packing, bits: 8 | 16): Lookup {
  const offset = bits === 16 ? 32768 : 0
  const colours = new Uint32Array(bits === 16 ? 65536 : 256)
  const edges = table.map(({ from }) => packedEdge(from, packing.scale))
  let at = 0
  for (let n = 0; n < colours.length; n++) {
    while (at + 1 < edges.length && n - offset >= edges[at + 1]) at++
    colours[n] = pixel(table[at].colour)
  }
  colours[packing.fill + offset] = 0
  return { colours, offset }
}

function pixel(colour: Rgb | null): number {
  return colour ? ((255 << 24) | (colour[2] << 16) | (colour[1] << 8) | colour[0]) >>> 0 : 0
}
