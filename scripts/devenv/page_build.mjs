/**
 * Bundles the pages: of each its scripts and its style sheets become one file, named by its content
 * and compressed ahead of time. `node page_build.mjs <project> <folder to write to>`.
 *
 * The folder gets the files, each with its `.gz` and `.br`, the pages that name them, source maps,
 * and `manifest.json`: {"pages": {"room": "room.html", …}, "files": ["room-4F2A….js", …]}.
 */

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [project, target] = process.argv.slice(2);
const statics = join(project, "static");
const require = createRequire(join(project, "package.json"));
const esbuild = require("esbuild-wasm");

/** Where the gateway serves the folder. */
const ADDRESS = "/static/built/";
const PAGES = ["room", "admin", "accounts"];
const STYLE_SHEET = /\s*<link rel="stylesheet" href="\/static\/([^"]+)" \/>/g;
const SCRIPT = /<script type="module" src="\/static\/([^"]+)"><\/script>/;
const ICON = /<link rel="icon" href="\/static\/([^"]+)" type="image\/svg\+xml" \/>/;

/** Addresses below /static/ are files; icons, of which a page needs two dozen, become part of it. */
const fromStatic = {
  name: "static",
  setup(build) {
    build.onResolve({ filter: /^\/static\// }, ({ path }) => ({
      path: join(statics, path.slice("/static/".length)),
    }));
  },
};

const SHARED = {
  absWorkingDir: statics,
  bundle: true,
  minify: true,
  // What reads the pages as they are.
  target: ["chrome111", "firefox113", "safari16.4"],
  legalComments: "none",
  loader: { ".svg": "dataurl" },
  plugins: [fromStatic],
  sourcemap: "external",
  write: false,
  outdir: target,
  logLevel: "warning",
};

const files = [];

/** @param {string} name @param {Uint8Array} content */
async function keep(name, content) {
  await Promise.all([
    writeFile(join(target, name), content),
    writeFile(join(target, `${name}.gz`), gzipSync(content, { level: 9 })),
    writeFile(
      join(target, `${name}.br`),
      brotliCompressSync(content, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
        },
      }),
    ),
  ]);
}

/**
 * A file named by its content. Its name keeps the page's, so that a gateway of another version knows
 * which of its own is meant.
 * @param {string} stem @param {string} ending @param {Uint8Array} content
 */
function named(stem, ending, content) {
  return `${stem}-${createHash("sha256").update(content).digest("hex").slice(0, 16)}.${ending}`;
}

/** @param {string} page @param {"js" | "css"} kind @param {object} options */
async function bundle(page, kind, options) {
  const { outputFiles } = await esbuild.build({ ...SHARED, ...options });
  const code = outputFiles.find(({ path }) => path.endsWith(`.${kind}`));
  const map = outputFiles.find(({ path }) => path.endsWith(`.${kind}.map`));
  const found = JSON.parse(map.text);
  // As the sources are named in the repository, wherever it was built.
  found.sources = found.sources.map((source) =>
    source.startsWith("<") ? source : relative(project, join(target, source)),
  );
  found.sourceRoot = "/";
  const mapText = Buffer.from(JSON.stringify(found));
  const name = named(page, kind, Buffer.concat([code.contents, mapText]));
  const link = kind === "js" ? `//# sourceMappingURL=${name}.map\n` : `/*# sourceMappingURL=${name}.map */\n`;
  await writeFile(join(target, `${name}.map`), mapText);
  await keep(name, Buffer.concat([code.contents, Buffer.from(link)]));
  files.push(name);
  return ADDRESS + name;
}

/** @param {string} page */
async function build(page) {
  const html = await readFile(join(statics, page, "index.html"), "utf8");
  const sheets = [...html.matchAll(STYLE_SHEET)].map(([, path]) => path);
  const [, script] = html.match(SCRIPT);
  const [, icon] = html.match(ICON);
  const [js, css, drawn] = [
    await bundle(page, "js", { entryPoints: [join(statics, script)], format: "esm" }),
    await bundle(page, "css", {
      stdin: {
        contents: sheets.map((path) => `@import "/static/${path}";`).join("\n"),
        loader: "css",
        resolveDir: statics,
        sourcefile: "<page>",
      },
    }),
    await readFile(join(statics, icon)),
  ];
  let first = true;
  const built = html
    .replace(STYLE_SHEET, () => {
      const link = first ? `\n    <link rel="stylesheet" href="${css}" />` : "";
      first = false;
      return link;
    })
    .replace(SCRIPT, `<script type="module" src="${js}"></script>`)
    // A quarter of a kilobyte: a request of its own would cost more.
    .replace(ICON, `<link rel="icon" href="data:image/svg+xml;base64,${drawn.toString("base64")}" />`);
  const name = `${page}.html`;
  await keep(name, Buffer.from(built));
  return name;
}

await mkdir(target, { recursive: true });
const pages = {};
for (const page of PAGES) {
  pages[page] = await build(page);
}
await writeFile(join(target, "manifest.json"), JSON.stringify({ pages, files }, null, 1));
