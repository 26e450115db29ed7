/** Maps and points of a run: small whole numbers, laid out as `stormcast_tw/exports/web.py` says. */

import { decompress } from 'fzstd'
import type { Kind, Packing } from './colours'
import { Broken, fetchFile, readJson, shortName } from './published'
import { moment } from './time'

type Numbers = Int16Array | Uint8Array
type Type = 'int16' | 'uint8'

/** Fetch a chunk: zstd, then little-endian numbers; raises Broken unless there are as many as there must be. */
async function chunk(url: string, type: Type, count: number): Promise<Numbers> {
  const packed = new Uint8Array(await (await fetchFile(url)).arrayBuffer())
  let bytes: Uint8Array
  try {
    bytes = decompress(packed)
  } catch (error) {
    throw new Broken(shortName(url), error instanceof Error ? error.message : String(error))
  }
  const numbers = type === 'int16' ? new Int16Array(bytes.slice().buffer, 0, bytes.length >> 1) : bytes
  if (numbers.length !== count) throw new Broken(shortName(url), `${numbers.length} numbers, not ${count}`)
  return numbers
}

function requireInit(file: string, found: string, wanted: number): void {
  if (moment(found) !== wanted) throw new Broken(shortName(file), `init_time ${found}`)
}

/** A kind of numbers: how they are packed, and what people read. */
interface PackedKind extends Kind, Packing {
  dtype: Type
}

interface FieldEntry {
  name: string
  long_name: string
  kind: string
  has_leads: boolean
}

/** What `fields.json` says of a run. */
export interface About {
  init_time: string
  lead_hours: number[]
  run: string
  experiment: string
  simulated: number
  trained?: number
  members?: number
  institution?: string
  license?: string
  acknowledgement?: string
  axes: Record<'latitude' | 'longitude', [number, number, number]>
  kinds: Record<string, PackedKind>
  fields: FieldEntry[]
}

/** One field at all of its hours, whole numbers as they are stored. `leads` is 1 for what holds for the whole run. */
export class Field {
  constructor(
    readonly name: string,
    readonly kind: Kind,
    readonly packing: Packing,
    readonly data: Numbers,
    readonly leads: number,
    readonly size: number,
  ) {}

  get bits(): 8 | 16 {
    return this.data instanceof Int16Array ? 16 : 8
  }

  /** The numbers (y, x) of the hour at a place in the list of hours. */
  hour(at: number): Numbers {
    const start = this.leads === 1 ? 0 : at * this.size
    return this.data.subarray(start, start + this.size)
  }

  /** The value at a place of the flattened grid in the units that people read, NaN where it is missing. */
  value(at: number, cell: number): number {
    const packed = this.data[this.leads === 1 ? cell : at * this.size + cell]
    return packed === this.packing.fill ? NaN : packed * this.packing.scale
  }
}

/** Every field of a run; one that was read is kept. */
export class Maps {
  readonly names: ReadonlySet<string>
  private readonly read = new Map<string, Promise<Field>>()

  private constructor(
    private readonly folder: string,
    readonly about: About,
  ) {
    this.names = new Set(about.fields.map(({ name }) => name))
  }

  /** Open the maps of a run that begins at a moment; raises Broken where the folder is of another time. */
  static async open(folder: string, init: number): Promise<Maps> {
    const file = `${folder}/maps/fields.json`
    const about = await readJson<About>(file, ['run', 'init_time', 'lead_hours', 'axes', 'kinds', 'fields'])
    requireInit(file, about.init_time, init)
    return new Maps(`${folder}/maps`, about)
  }

  field(name: string): Promise<Field> {
    const known = this.read.get(name)
    if (known) return known
    const reading = this.fetch(name)
    this.read.set(name, reading)
    reading.catch(() => this.read.delete(name))
    return reading
  }

  private async fetch(name: string): Promise<Field> {
    const entry = this.about.fields.find((each) => each.name === name)
    if (!entry) throw new Broken(shortName(`${this.folder}/${name}`), 'not there')
    const { axes, kinds, lead_hours } = this.about
    const kind = kinds[entry.kind]
    const leads = entry.has_leads ? lead_hours.length : 1
    const size = axes.latitude[2] * axes.longitude[2]
    const data = await chunk(`${this.folder}/${name}/c/${entry.has_leads ? '0/0/0' : '0/0'}`, kind.dtype, leads * size)
    return new Field(name, kind, kind, data, leads, size)
  }
}

export const POINT_NAMES = ['tp01', 'u10m', 'v10m', 't2m'] as const
export type PointName = (typeof POINT_NAMES)[number]
/** By name: a list for each member of the values at every hour. */
export type Members = Record<PointName, number[][]>

/** The document of an array of Zarr, as far as it is needed. */
interface ArrayDocument {
  shape: [number, number, number, number]
  data_type: Type
  chunk_grid: { configuration: { chunk_shape: [number, number, number, number] } }
  codecs: Array<{ name: string; configuration?: { endian?: string } }>
  attributes: { scale_factor?: number; _FillValue: number }
}

interface GroupDocument {
  attributes: { init_time: string }
  consolidated_metadata: { metadata: Record<string, ArrayDocument> }
}

/** The members at single points of a run: (member, lead_time, latitude, longitude) in columns of points. */
export class Points {
  private constructor(
    private readonly folder: string,
    private readonly arrays: Record<string, ArrayDocument>,
  ) {}

  /** Open the points of a run; raises as `Maps.open`. */
  static async open(folder: string, init: number): Promise<Points> {
    const file = `${folder}/points/zarr.json`
    const { attributes, consolidated_metadata } = await readJson<GroupDocument>(file, [
      'attributes',
      'consolidated_metadata',
    ])
    requireInit(file, attributes.init_time, init)
    const arrays = consolidated_metadata.metadata
    for (const name of POINT_NAMES) {
      const said = arrays[name]?.codecs.map((codec) => codec.configuration?.endian ?? codec.name).join(' ')
      if (said !== 'little zstd') throw new Broken(shortName(file), `${name} is ${said ?? 'not there'}`)
    }
    return new Points(`${folder}/points`, arrays)
  }

  /** All members at a grid point, in the units that people read. */
  async at(j: number, i: number): Promise<Members> {
    const read = POINT_NAMES.map(async (name) => [name, await this.one(name, j, i)] as const)
    return Object.fromEntries(await Promise.all(read)) as Members
  }

  private async one(name: PointName, j: number, i: number): Promise<number[][]> {
    const { data_type, chunk_grid, attributes } = this.arrays[name]
    const [members, leads, rows, columns] = chunk_grid.configuration.chunk_shape
    const url = `${this.folder}/${name}/c/0/0/${Math.floor(j / rows)}/${Math.floor(i / columns)}`
    const data = await chunk(url, data_type, members * leads * rows * columns)
    const cell = (j % rows) * columns + (i % columns)
    const value = (m: number, lead: number): number => {
      const packed = data[(m * leads + lead) * rows * columns + cell]
      return packed === attributes._FillValue ? NaN : packed * (attributes.scale_factor ?? 1)
    }
    return Array.from({ length: members }, (_, m) => Array.from({ length: leads }, (__, lead) => value(m, lead)))
  }
}
