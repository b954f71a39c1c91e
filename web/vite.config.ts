import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Writes a .gz beside every compressible asset, so that the server never compresses while it answers. */
function precompress(): Plugin {
  let outDir = "dist";
  return {
    name: "weir-precompress",
    apply: "build",
    configResolved(config) {
      outDir = config.build.outDir;
    },
    closeBundle() {
      for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|svg|html)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const bytes = readFileSync(path);
        const packed = gzipSync(bytes, { level: 9 });
        if (packed.length < bytes.length) writeFileSync(`${path}.gz`, packed);
      }
    },
  };
}

/** Asks for the text font early: it is otherwise found only after the style sheet has arrived. */
function preloadFont(): Plugin {
  return {
    name: "weir-preload-font",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(_html, ctx) {
        const font = Object.keys(ctx.bundle ?? {}).find((name) =>
          /inter-latin-wght.*\.woff2$/.test(name),
        );
        if (!font) return [];
        const attrs = {
          rel: "preload",
          as: "font",
          type: "font/woff2",
          href: `./${font}`,
          crossorigin: "",
        };
        return [{ tag: "link", attrs, injectTo: "head-prepend" as const }];
      },
    },
  };
}

const server = process.env.WEIR_URL ?? "http://127.0.0.1:5000";
/** The server's policy, so that the preview refuses what the server refuses. */
const policy =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:";
const proxied = ["/ajax-api", "/api", "/get-artifact", "/model-versions", "/version", "/health"];

export default defineConfig({
  // Relative, so that the same build works below a --static-prefix.
  base: "./",
  plugins: [react(), preloadFont(), precompress()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    // One style sheet: it is small, and a page has a dozen requests to spend.
    cssCodeSplit: false,
    chunkSizeWarningLimit: 800,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      proxied.map((path) => [path, { target: server, changeOrigin: true }]),
    ),
  },
  preview: {
    headers: { "Content-Security-Policy": policy },
    proxy: Object.fromEntries(
      proxied.map((path) => [path, { target: server, changeOrigin: true }]),
    ),
  },
});
