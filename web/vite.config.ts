import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/** One ES module and one stylesheet, with no name that depends on their content: the wheel ships exactly these. */
export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../src/downslope/front",
    emptyOutDir: true,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    target: "es2022",
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      input: "src/index.ts",
      preserveEntrySignatures: "strict",
      output: {
        entryFileNames: "downslope.js",
        assetFileNames: "downslope[extname]",
        codeSplitting: false,
      },
    },
  },
});
