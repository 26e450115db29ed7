/** In place of decoders that nothing published needs: zarrita names them, and they are large. */

export default undefined
