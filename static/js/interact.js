/**
 * The old address of the browser library, for pages that were written when it was here. New pages
 * import `/static/interact/index.js`.
 */
export * from "../interact/index.js";
