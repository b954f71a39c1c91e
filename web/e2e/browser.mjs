// Walks through the interface in a real browser against a real server, and looks for what must not be there.
// Usage: WEIR_URL=http://127.0.0.1:5000 node e2e/browser.mjs [folder for screenshots]
//
// It fails on a console error, a broken content security policy, an answer of 400 or more that no step expects, a
// request to another origin, a serious axe finding, and when a page asks or shows more than its budget.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { seed } from "./seed.mjs";

const url = process.env.WEIR_URL;
if (!url) throw new Error("WEIR_URL says where the server is");
const base = new URL("./", url.endsWith("/") ? url : `${url}/`).href;
const shots = process.argv[2] ?? (await mkdtemp(join(tmpdir(), "weir-shots-")));
await mkdir(shots, { recursive: true });
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const faults = [];
let step = "start";

/** A page whose every fault is noted; expected holds the statuses that the present step may meet. */
async function openPage(browser, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const state = { expected: new Set(), api: 0, all: 0 };
  const note = (what) => faults.push(`${step}: ${what}`);
  page.on("pageerror", (error) => note(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    const refused = /status of (\d+)/.exec(message.text())?.[1];
    if (refused && state.expected.has(Number(refused))) return;
    note(`console ${message.type()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    const target = request.url();
    if (/^(data|blob):/.test(target)) return;
    if (!target.startsWith(base)) note(`request to another origin: ${target}`);
    state.all++;
    if (/\/(ajax-)?api\//.test(target)) state.api++;
  });
  page.on("response", (response) => {
    if (response.status() >= 400 && !state.expected.has(response.status()))
      note(`${response.status()} ${response.url()}`);
  });
  await page.exposeFunction("noteViolation", (text) => note(`content security policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.noteViolation(`${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  return { page, context, state };
}

const inPage = (page, id) => page.getByTestId(id);
const settle = (page) => page.waitForLoadState("networkidle");

async function goTo(page, hash) {
  await page.goto(`${base}#${hash}`);
}

/** A fresh load of a page: what it asks for must stay within the budget. */
async function load({ page, state }, hash, ready) {
  await page.goto("about:blank");
  state.api = 0;
  state.all = 0;
  await goTo(page, hash);
  await ready.first().waitFor();
  await settle(page);
  assert.ok(state.api <= 4, `${hash} asked the API ${state.api} times`);
  assert.ok(state.all <= 12, `${hash} took ${state.all} requests`);
}

async function audit(page, name) {
  // Evaluated by the debugger, the policy does not forbid it.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const result = await window.axe.run(document, { resultTypes: ["violations"] });
    return result.violations
      .filter((v) => v.impact === "serious" || v.impact === "critical")
      .map(
        (v) =>
          `${v.id}: ${v.nodes
            .map((n) => n.target.join(" "))
            .slice(0, 4)
            .join(", ")}`,
      );
  });
  for (const finding of found) faults.push(`axe on ${name}: ${finding}`);
}

const shot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });

async function walk(browser, ids) {
  const view = await openPage(browser, { colorScheme: "light" });
  const { page, state } = view;
  const rows = inPage(page, "run-row");

  step = "experiments";
  await load(view, "/experiments", inPage(page, "experiment-row"));
  const transferred = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .filter((e) => /\.(js|css)$/.test(e.name))
      .reduce((sum, e) => sum + e.encodedBodySize, 0),
  );
  assert.ok(transferred < 320 * 1024, `scripts and styles are ${transferred} bytes`);
  await audit(page, step);
  await shot(page, "experiments");
  await page.getByLabel("Find an experiment by name").fill(ids.names.diamonds);
  await page.getByRole("link", { name: ids.names.diamonds, exact: true }).click();

  step = "runs";
  await rows.first().waitFor();
  await settle(page);
  const levels = await rows.evaluateAll((all) => all.map((row) => row.getAttribute("aria-level")));
  assert.ok(levels.includes("1") && levels.includes("2"), "nested runs stand below their parents");
  await audit(page, step);
  await shot(page, "runs");
  await load(view, `/experiments/${ids.churn}`, rows);
  assert.ok((await rows.count()) <= 80, "only the rows on the screen are in the document");
  assert.ok((await rows.count()) >= 20, "twenty rows fit on the screen");
  await page.getByText(`${ids.churnRuns} runs`).waitFor();
  let tabs = 0;
  for (; tabs < 12; tabs++) {
    if (await page.evaluate(() => document.activeElement?.matches("[data-testid=run-row]"))) break;
    await page.keyboard.press("Tab");
  }
  assert.ok(tabs <= 8, `${tabs} Tabs to the first row`);

  step = "sort";
  const aucs = async () =>
    (await rows.evaluateAll((all) => all.slice(0, 12).map((row) => row.textContent))).join("\n");
  const before = await aucs();
  await inPage(page, "sort-auc").click();
  await page.waitForFunction((old) => {
    const all = [...document.querySelectorAll("[data-testid=run-row]")].slice(0, 12);
    return all.map((row) => row.textContent).join("\n") !== old;
  }, before);
  assert.match(page.url(), /orderByKey=metrics\.auc/);

  step = "filter";
  const filter = inPage(page, "filter");
  await filter.fill("params.interaction_depth = '3'");
  await filter.press("Enter");
  const fewer = Math.ceil((ids.churnRuns - 1) / 5);
  await page.getByText(new RegExp(`^${fewer} runs$`)).waitFor();

  step = "filter error";
  state.expected.add(400);
  await filter.fill("metrics.auc >> 3");
  await filter.press("Enter");
  await inPage(page, "filter-error").waitFor();
  assert.ok((await rows.count()) > 0, "a fault in the filter keeps the rows");
  await audit(page, step);
  await shot(page, "filter-error");
  await settle(page);
  state.expected.clear();

  step = "keyboard";
  await load(view, `/experiments/${ids.churn}`, rows);
  await rows.first().focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  await inPage(page, "compare").click();

  step = "compare";
  await inPage(page, "compare-cell").first().waitFor();
  await settle(page);
  await audit(page, step);
  await shot(page, "compare");

  step = "run";
  const run = `/experiments/${ids.diamonds}/runs/${ids.best}`;
  await load(view, run, inPage(page, "chart").locator("canvas"));
  await audit(page, step);
  await shot(page, "run");

  step = "chart";
  await load(view, `${run}/model-metrics`, inPage(page, "chart").locator("canvas"));
  const plot = await inPage(page, "chart").locator(".u-over").boundingBox();
  await page.mouse.move(plot.x + plot.width * 0.2, plot.y + 60);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * 0.5, plot.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  await page.getByRole("button", { name: "Show all" }).click();
  await page.waitForURL((now) => !now.href.includes("from="));
  await shot(page, "metrics");

  step = "a wide run";
  await load(view, `/experiments/${ids.wide}/runs/${ids.wideRun}`, inPage(page, "metric-row"));
  assert.ok(
    (await page.getByRole("row").count()) <= 80,
    "a thousand metrics are not in the document",
  );
  await page.getByTitle("9.5", { exact: true }).first().waitFor(); // the one spike among thousands of points
  await shot(page, "wide");

  step = "artifacts";
  await load(view, `${run}/artifacts`, page.getByRole("treeitem"));
  await page.getByRole("treeitem", { name: "plots" }).click();
  await page.getByRole("treeitem", { name: "residuals.png" }).click();
  const preview = inPage(page, "artifact-preview");
  await page.waitForFunction(() => {
    const image = document.querySelector("[data-testid=artifact-preview] img");
    return image?.complete && image.naturalWidth > 0;
  });
  await audit(page, step);
  await shot(page, "artifact-image");
  await goTo(page, `${run}/artifacts/tables/predictions.csv`);
  await preview.getByText("residual").waitFor();
  await shot(page, "artifact-table");
  await goTo(page, `${run}/artifacts/session-info.txt`);
  await preview.getByText("R version 4.2.2").waitFor();
  await goTo(page, `${run}/artifacts/report.md`);
  await preview.getByRole("heading", { name: "What changed" }).waitFor();
  await goTo(page, `${run}/artifacts/plots/importance.svg`);
  await preview.getByRole("img").waitFor();
  if (!process.env.WEIR_SEED_PLAIN) {
    await page.getByRole("treeitem", { name: "logs" }).click();
    await page.getByRole("treeitem", { name: "100% done #1.txt" }).click();
    await preview.getByText("a name with a space").waitFor();
  }

  step = "models";
  await load(view, "/models", inPage(page, "model-row"));
  await audit(page, step);
  await shot(page, "models");
  await page.getByRole("link", { name: ids.model, exact: true }).click();
  step = "model";
  await inPage(page, "version-row").first().waitFor();
  await page.getByText("@champion").first().waitFor();
  await audit(page, step);
  await shot(page, "model");
  step = "version";
  await load(view, `/models/${ids.model}/versions/3`, inPage(page, "signature").getByText("carat"));
  await audit(page, step);
  await shot(page, "version");

  step = "nothing there";
  await load(view, `/experiments/${ids.empty}`, page.getByText("No runs yet"));
  await audit(page, step);
  await shot(page, "empty");
  state.expected.add(404);
  await goTo(page, `/experiments/${ids.diamonds}/runs/${"0".repeat(32)}`);
  await page.getByRole("heading", { name: "Not found" }).waitFor();
  await settle(page);
  state.expected.clear();

  step = "colours";
  await goTo(page, `/experiments/${ids.diamonds}`);
  await inPage(page, "settings").click();
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  await page.reload();
  await rows.first().waitFor();
  const scheme = () => page.evaluate(() => document.documentElement.dataset.mantineColorScheme);
  assert.equal(await scheme(), "dark");
  await view.context.close();
}

/** The main pages in the other colours and on a small screen. */
async function look(browser, ids, name, options) {
  const view = await openPage(browser, options);
  const { page } = view;
  const run = `/experiments/${ids.diamonds}/runs/${ids.best}`;
  const pages = [
    ["experiments", "/experiments", inPage(page, "experiment-row")],
    ["runs", `/experiments/${ids.diamonds}`, inPage(page, "run-row")],
    ["run", run, inPage(page, "chart").locator("canvas")],
    [
      "artifact-image",
      `${run}/artifacts/plots/residuals.png`,
      inPage(page, "artifact-preview").getByRole("img"),
    ],
    ["version", `/models/${ids.model}/versions/3`, inPage(page, "signature").getByText("carat")],
  ];
  for (const [what, hash, ready] of pages) {
    step = `${what}, ${name}`;
    await load(view, hash, ready);
    await audit(page, step);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${step}: the page is ${wide} px wider than the screen`);
    await shot(page, `${what}-${name}`);
  }
  await view.context.close();
}

const suffix = `-${Date.now().toString(36)}`;
const ids = await seed(base.replace(/\/$/, ""), { small: true, suffix });
ids.names = { diamonds: `diamonds-price${suffix}` };
const browser = await chromium.launch({
  executablePath: process.env.WEIR_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
  ],
});
try {
  await walk(browser, ids);
  await look(browser, ids, "dark", { colorScheme: "dark" });
  await look(browser, ids, "small", { viewport: { width: 390, height: 844 } });
  await look(browser, ids, "small-dark", {
    viewport: { width: 390, height: 844 },
    colorScheme: "dark",
  });
} catch (error) {
  faults.push(`${step}: ${error.message}`);
} finally {
  await browser.close();
}
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exitCode = 1;
} else console.log(`the interface holds; pictures are in ${shots}`);
