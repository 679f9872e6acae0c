// Bundles the page's scripts into the Python package, or with --tests the tests into build/.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = process.argv.find((word) => word.startsWith("--out="))?.slice("--out=".length);

// What the sources are, by which a test without node checks whether they were built.
function digest() {
  const names = readdirSync(here("src"))
    .filter((name) => name.endsWith(".ts"))
    .sort();
  const hash = createHash("sha256");
  for (const name of [...names.map((name) => `src/${name}`), "package-lock.json"])
    hash.update(readFileSync(here(name)));
  return hash.digest("hex");
}

if (process.argv.includes("--tests")) {
  const tests = readdirSync(here("test")).filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((name) => here(`test/${name}`)),
    outdir: here("build"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    banner: { js: "globalThis.document = { getElementById: () => null }; globalThis.requestAnimationFrame = () => 0;" },
  });
} else {
  await build({
    entryPoints: [here("src/main.ts")],
    outfile: out ?? here("../src/conceptspace/presentation/explorer/static/page.js"),
    bundle: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    minify: true,
    legalComments: "none",
    banner: {
      js: `// Made of page/ by \`make page\`: ${digest()}
// Holds D3 (ISC) and gifenc (MIT), see licences/.`,
    },
  });
}
