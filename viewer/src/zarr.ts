/** Maps and points of a run: Zarr v3 in small whole numbers, see `stormcast_tw/exports/web.py`. */

import { decompress } from 'fzstd'
import * as zarr from 'zarrita'
import type { Kind, Packing } from './colours'
import { Broken, fetchFile, shortName, Unreachable } from './published'

/** What zarrita says of the chunks that a codec is made for. */
interface ChunkShape {
  shape: number[]
  dataType: string
}

/** Zstandard, and a check that a chunk is as long as it must be: zarrita would fill up a short one with zeros. */
function zstd(_: unknown, { shape, dataType }: ChunkShape) {
  const wanted = shape.reduce((product, n) => product * n, Number(/\d+$/.exec(dataType)![0]) / 8)
  return {
    encode: () => {
      throw new Error('this page only reads')
    },
    decode: (data: Uint8Array): Uint8Array => {
      const bytes = decompress(data)
      if (bytes.length !== wanted) throw new Error(`a chunk of ${bytes.length} bytes, not ${wanted}`)
      return bytes
    },
  }
}

zarr.registry.set('zstd', (async () => ({ kind: 'bytes_to_bytes', fromConfig: zstd })) as never)

/** A Zarr folder behind HTTP. Every chunk is there, so a missing one is an error and never a blank map. */
class Folder {
  constructor(readonly url: string) {}

  async get(key: string): Promise<Uint8Array | undefined> {
    return new Uint8Array(await (await fetchFile(this.url + key)).arrayBuffer())
  }
}

type Numbers = Int16Array | Uint8Array

/** What the group of maps, or of points, says of itself. */
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
  kinds?: Record<string, Kind>
}

interface FieldAttributes {
  long_name: string
  kind: string
  units: string
  scale_factor?: number
  _FillValue: number
}

/** One field at all of its hours, whole numbers as they are stored. `leads` is 1 for what holds for the whole run. */
export class Field {
  readonly leads: number
  readonly size: number

  constructor(
    readonly name: string,
    readonly kindName: string,
    readonly longName: string,
    readonly packing: Packing,
    readonly data: Numbers,
    shape: readonly number[],
  ) {
    this.leads = shape.length === 3 ? shape[0] : 1
    this.size = shape.at(-1)! * shape.at(-2)!
    if (data.length !== this.leads * this.size) throw new Broken(name, `${data.length} numbers, not ${shape.join(' x ')}`)
  }

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
    const packed = this.hour(at)[cell]
    return packed === this.packing.fill ? NaN : packed * this.packing.scale
  }
}

function packingOf(attributes: FieldAttributes): Packing {
  return { scale: attributes.scale_factor ?? 1, fill: attributes._FillValue }
}

/** A folder of Zarr whose documents lie in one. */
class Arrays {
  private constructor(readonly url: string, private readonly root: zarr.Group<zarr.Readable>, readonly names: Set<string>) {}

  static async open(url: string): Promise<Arrays> {
    return named(url, async () => {
      const store = await zarr.withConsolidatedMetadata(new Folder(url), { format: 'v3' })
      const root = await zarr.open.v3(store, { kind: 'group' })
      return new Arrays(url, root, new Set(store.contents().map(({ path }) => path.slice(1))))
    })
  }

  get about(): About {
    return this.root.attrs as unknown as About
  }

  async read(name: string, selection: Array<number | null> | null): Promise<{ data: Numbers; shape: number[]; attributes: FieldAttributes }> {
    return named(`${this.url}/${name}`, async () => {
      const array = await zarr.open.v3(this.root.resolve(name), { kind: 'array' })
      const { data, shape } = await zarr.get(array, selection)
      return { data: data as Numbers, shape, attributes: array.attrs as unknown as FieldAttributes }
    })
  }
}

async function named<Result>(url: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Broken || error instanceof Unreachable) throw error
    const cause = (error as { cause?: unknown }).cause
    if (cause instanceof Broken || cause instanceof Unreachable) throw cause
    throw new Broken(shortName(url), error instanceof Error ? error.message : String(error))
  }
}

/** Every field of a run; one that was read is kept. */
export class Maps {
  private readonly fields = new Map<string, Promise<Field>>()

  private constructor(private readonly arrays: Arrays, readonly about: About) {}

  static async open(folder: string, run: string): Promise<Maps> {
    const arrays = await Arrays.open(`${folder}/maps`)
    if (arrays.about.run !== run) throw new Broken(shortName(`${folder}/maps`), `run ${arrays.about.run}`)
    return new Maps(arrays, arrays.about)
  }

  get names(): Set<string> {
    return this.arrays.names
  }

  kind(name: string): Kind {
    return this.about.kinds![name]
  }

  field(name: string): Promise<Field> {
    const known = this.fields.get(name)
    if (known) return known
    const reading = this.read(name)
    this.fields.set(name, reading)
    reading.catch(() => this.fields.delete(name))
    return reading
  }

  private async read(name: string): Promise<Field> {
    const { data, shape, attributes } = await this.arrays.read(name, null)
    return new Field(name, attributes.kind, attributes.long_name, packingOf(attributes), data, shape)
  }
}

export const POINT_NAMES = ['tp01', 'u10m', 'v10m', 't2m'] as const
export type PointName = (typeof POINT_NAMES)[number]
/** By name: a list for each member of the values at every hour. */
export type Members = Record<PointName, number[][]>

/** The members at single points of a run. */
export class Points {
  private constructor(private readonly arrays: Arrays) {}

  static async open(folder: string): Promise<Points> {
    return new Points(await Arrays.open(`${folder}/points`))
  }

  /** All members at a grid point, in the units that people read. */
  async at(j: number, i: number): Promise<Members> {
    const read = POINT_NAMES.map(async (name) => {
      const { data, shape, attributes } = await this.arrays.read(name, [null, null, j, i])
      const { scale, fill } = packingOf(attributes)
      const values = Array.from(data, (n) => (n === fill ? NaN : n * scale))
      return [name, Array.from({ length: shape[0] }, (_, m) => values.slice(m * shape[1], (m + 1) * shape[1]))]
    })
    return Object.fromEntries(await Promise.all(read)) as Members
  }
}
