import { defineConfig } from 'vitest/config'

const absent = new URL('src/absent.ts', import.meta.url).pathname

export default defineConfig({
  base: './',
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
  resolve: { alias: { 'numcodecs/blosc': absent, 'numcodecs/lz4': absent, 'numcodecs/zstd': absent } },
  test: { include: ['tests/**/*.test.ts'] },
})
