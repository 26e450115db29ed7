/** What a map is told to draw. */

import type { Lookup } from './colours'
import type { Field } from './zarr'

/** A field to paint, and how. */
export interface Painting {
  field: Field
  at: number
  look: Lookup
  hatchBelow: number
  /** Values that contours are drawn at. */
  levels: number[]
}

/** How a zone is filled, by code. */
export type Fills = Map<string, { colour: string; hatched: boolean }>

export interface Scene {
  painting: Painting | null
  fills: Fills
  barbs: { speed: Field; direction: Field; at: number } | null
  zone: string | null
  point: [number, number] | null
}

/** A scene without anything but land. */
export const NOTHING: Scene = { painting: null, fills: new Map(), barbs: null, zone: null, point: null }
