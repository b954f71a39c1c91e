// Fills a server with data that looks like real work, through the public REST API only.
// Usage: WEIR_URL=http://127.0.0.1:5000 node e2e/seed.mjs [small]
import { crc32, deflateSync } from "node:zlib";

const MINUTE = 60_000;

/** A small seeded generator, so that every seeding gives the same numbers. */
function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function client(base) {
  const call = async (method, path, body, type = "application/json") => {
    const res = await fetch(base + path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": type },
      body: type === "application/json" ? JSON.stringify(body) : body,
    });
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${await res.text()}`);
    const text = await res.text();
    return text.startsWith("{") ? JSON.parse(text) : {};
  };
  return {
    post: (path, body) => call("POST", `/api/2.0/mlflow/${path}`, body),
    put: (path, bytes) =>
      call("PUT", `/api/2.0/mlflow-artifacts/artifacts/${path}`, bytes, "application/octet-stream"),
  };
}

/** A PNG of residuals over fitted values: a cloud of translucent dots with a zero line. */
function residualPlot(rand, width = 720, height = 480) {
  const pixels = Buffer.alloc(width * height * 3, 255);
  const ink = (x, y, [r, g, b], alpha) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const at = (y * width + x) * 3;
    pixels[at] = pixels[at] * (1 - alpha) + r * alpha;
    pixels[at + 1] = pixels[at + 1] * (1 - alpha) + g * alpha;
    pixels[at + 2] = pixels[at + 2] * (1 - alpha) + b * alpha;
  };
  for (let x = 40; x < width - 20; x++) {
    ink(x, height / 2, [200, 60, 60], 1);
    ink(x, height - 30, [90, 90, 90], 1);
  }
  for (let y = 20; y < height - 30; y++) ink(40, y, [90, 90, 90], 1);
  for (let n = 0; n < 6000; n++) {
    const t = rand() ** 1.7;
    const spread = (30 + 150 * t) * (rand() + rand() + rand() - 1.5);
    const cx = 44 + Math.floor(t * (width - 70));
    const cy = Math.floor(height / 2 + spread * 0.8);
    if (cy < 20 || cy > height - 34) continue;
    for (let dx = -2; dx <= 2; dx++)
      for (let dy = -2; dy <= 2; dy++)
        if (dx * dx + dy * dy <= 5) ink(cx + dx, cy + dy, [31, 94, 140], 0.22);
  }
  const raw = Buffer.alloc(height * (width * 3 + 1));
  for (let y = 0; y < height; y++)
    pixels.copy(raw, y * (width * 3 + 1) + 1, y * width * 3, (y + 1) * width * 3);
  const chunk = (name, data) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(data.length);
    head.write(name, 4);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc(Buffer.concat([Buffer.from(name), data])));
    return Buffer.concat([head, data, sum]);
  };
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(width, 0);
  ihdr.writeUInt32BE(height, 4);
  ihdr.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", ihdr),
    chunk("IDAT", deflateSync(raw)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

// zlib.crc32 came to Node 20 late (20.15); older ones compute it here.
function crc(buffer) {
  if (crc32) return crc32(buffer);
  let c = 0xffffffff;
  for (const byte of buffer) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

const importanceSvg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 300" font-family="sans-serif" font-size="14">
<rect width="640" height="300" fill="#fff"/>
${[
  ["carat", 100],
  ["y", 71],
  ["clarity", 44],
  ["x", 39],
  ["color", 28],
  ["z", 22],
  ["cut", 6],
]
  .map(
    ([name, value], i) =>
      `<text x="80" y="${42 + i * 34}" text-anchor="end" fill="#333">${name}</text><rect x="92" y="${26 + i * 34}" width="${value * 4.8}" height="22" rx="2" fill="#2a7f9e"/><text x="${100 + value * 4.8}" y="${42 + i * 34}" fill="#555">${value}</text>`,
  )
  .join("\n")}
</svg>`;

function predictionsCsv(rand, rows) {
  const cuts = ["Fair", "Good", "Very Good", "Premium", "Ideal"];
  const lines = ["row,carat,cut,color,clarity,price,predicted,residual"];
  for (let i = 1; i <= rows; i++) {
    const carat = 0.2 + rand() ** 2 * 2.6;
    const price = Math.round(380 + 7200 * carat ** 1.6 * (0.7 + 0.6 * rand()));
    const predicted = price * (0.9 + 0.2 * rand());
    lines.push(
      [
        i,
        carat.toFixed(2),
        cuts[Math.floor(rand() * 5)],
        "DEFGHIJ"[Math.floor(rand() * 7)],
        ["SI2", "SI1", "VS2", "VS1", "VVS2", "IF"][Math.floor(rand() * 6)],
        price,
        predicted.toFixed(2),
        (predicted - price).toFixed(2),
      ].join(","),
    );
  }
  return `${lines.join("\n")}\n`;
}

const mlmodel = (runId) => `artifact_path: model
flavors:
  crate:
    model: crate.bin
    version: 0.1.0
mlflow_version: 3.10.1
model_size_bytes: 48213
run_id: ${runId}
signature:
  inputs: '[{"type": "double", "name": "carat"}, {"type": "string", "name": "cut"}, {"type":
    "string", "name": "color"}, {"type": "string", "name": "clarity"}, {"type": "double",
    "name": "depth", "required": false}]'
  outputs: '[{"type": "double", "name": "price"}]'
utc_time_created: '2026-11-20 09:12:44.120000'
`;

const reportMd = `# Price model, weekly report

The **ranger** forest beats the linear baseline on every cut.

| model | rmse | mae | r2 |
|---|---:|---:|---:|
| lm | 1,121.4 | 739.2 | 0.9204 |
| rpart | 982.7 | 655.1 | 0.9388 |
| ranger | 541.3 | 269.9 | 0.9815 |

## What changed

- \`log(price)\` as the target removes most of the heteroscedasticity
- stones above 3 carat are held out: there are only 40
- [the paper](https://example.org/paper) describes the split

\`\`\`r
model <- ranger(price ~ ., data = train, num.trees = 500)
\`\`\`
`;

/** Seeds the server at base; resolves to the ids that tests need. */
export async function seed(base, { small = false, now = Date.now(), suffix = "" } = {}) {
  const api = client(base);
  const rand = random(20261123);

  const experiment = async (name, tags = []) =>
    (await api.post("experiments/create", { name, tags })).experiment_id;

  const run = async (experimentId, { name, start, end, status, params, metrics, series, tags }) => {
    const made = await api.post("runs/create", {
      experiment_id: experimentId,
      run_name: name,
      start_time: start,
      tags: Object.entries(tags ?? {}).map(([key, value]) => ({ key, value: String(value) })),
    });
    const id = made.run.info.run_id;
    const points = [];
    for (const [key, value] of Object.entries(metrics ?? {}))
      points.push({ key, value, timestamp: end ?? start, step: 0 });
    for (const [key, values] of Object.entries(series ?? {}))
      values.forEach((value, step) => {
        points.push({ key, value, timestamp: start + step * 1500, step });
      });
    const first = {
      run_id: id,
      params: Object.entries(params ?? {}).map(([key, value]) => ({ key, value: String(value) })),
    };
    await api.post("runs/log-batch", first);
    for (let i = 0; i < points.length; i += 1000)
      await api.post("runs/log-batch", { run_id: id, metrics: points.slice(i, i + 1000) });
    if (status !== "RUNNING") await api.post("runs/update", { run_id: id, status, end_time: end });
    return id;
  };

  const who = ["mara", "jens", "aiko", "tomasz"];
  const source = (file) => ({
    "mlflow.user": who[Math.floor(rand() * who.length)],
    "mlflow.source.name": file,
    "mlflow.source.type": "LOCAL",
    "mlflow.source.git.commit": "4be1f0c2a97d5e03b6f8a1d2c3e4f5061728394a",
  });
  const inParallel = async (jobs, width = 8) => {
    const queue = [...jobs.entries()];
    const results = new Array(jobs.length);
    await Promise.all(
      Array.from({ length: width }, async () => {
        for (let next = queue.shift(); next; next = queue.shift())
          results[next[0]] = await next[1]();
      }),
    );
    return results;
  };

  // diamonds: parents with nested runs, artifacts, a registered model
  const diamonds = await experiment(`diamonds-price${suffix}`, [
    {
      key: "mlflow.note.content",
      value: "Price of a diamond from its size and grade. Data: ggplot2::diamonds, 53,940 rows.",
    },
    { key: "team", value: "pricing" },
  ]);
  const artifactsOf = {};
  const families = ["lm", "rpart", "ranger", "glmnet"];
  let best;
  for (let session = 0; session < (small ? 2 : 4); session++) {
    const begun = now - (4 - session) * 1440 * MINUTE + Math.floor(rand() * 300) * MINUTE;
    const parent = await run(diamonds, {
      name: `grid-2026-11-${19 + session}`,
      start: begun,
      end: begun + 55 * MINUTE,
      status: "FINISHED",
      params: { seed: 42 + session, split: 0.8 },
      metrics: { best_rmse: 540 + rand() * 20 },
      tags: source("train_diamonds.R"),
    });
    const made = await inParallel(
      Array.from({ length: small ? 8 : 16 }, (_, i) => () => {
        const family = families[i % 4];
        const skill = { lm: 1121, rpart: 985, ranger: 548, glmnet: 1098 }[family];
        const rmse = skill * (0.96 + 0.1 * rand());
        const start = begun + i * 3 * MINUTE;
        const failed = i === 13;
        const running = session === 3 && i === 15;
        const took = family === "ranger" ? 140_000 * (0.6 + rand()) : 4_000 + rand() * 22_000;
        const params = { model: family, log_price: i % 2 === 0, seed: 42 + session };
        if (family === "rpart")
          Object.assign(params, { cp: [0.001, 0.0005, 0.01][i % 3], maxdepth: 8 + (i % 5) });
        if (family === "ranger")
          Object.assign(params, { num_trees: [200, 500, 800][i % 3], mtry: 3 + (i % 4) });
        if (family === "glmnet")
          Object.assign(params, {
            alpha: [0, 0.5, 1][i % 3],
            lambda: (10 ** -(1 + 3 * rand())).toPrecision(4),
          });
        const curve = Array.from(
          { length: 60 },
          (_, s) => rmse * (1 + 1.9 * Math.exp(-s / 9) + 0.015 * (rand() - 0.5)),
        );
        return run(diamonds, {
          name: `${family}-${String(i + 1).padStart(2, "0")}`,
          start,
          end: Math.round(start + took),
          status: running ? "RUNNING" : failed ? "FAILED" : "FINISHED",
          params,
          metrics: failed
            ? {}
            : {
                rmse,
                mae: rmse * (0.6 + 0.04 * rand()),
                r2: 1 - (rmse / 3990) ** 2,
                mape: 0.08 + (rmse / 12000) * rand(),
                train_seconds: took / 1000,
              },
          series: failed ? { val_rmse: curve.slice(0, 7) } : { val_rmse: curve },
          tags: {
            ...source("train_diamonds.R"),
            "mlflow.parentRunId": parent,
            stage: session === 3 ? "candidate" : "archive",
          },
        });
      }),
    );
    best ??= made[2];
  }
  const root = (experimentId, runId) => `${experimentId}/${runId}/artifacts`;
  const files = {
    "plots/residuals.png": residualPlot(rand),
    "plots/importance.svg": importanceSvg,
    "tables/predictions.csv": predictionsCsv(rand, small ? 400 : 2500),
    "tables/summary.json": JSON.stringify({
      rmse: 541.3,
      mae: 269.9,
      folds: [538.2, 544.9, 540.8],
      model: "ranger",
      note: "5-fold",
    }),
    "report.md": reportMd,
    "session-info.txt":
      "R version 4.2.2 (2022-10-31)\nPlatform: x86_64-pc-linux-gnu (64-bit)\n\nattached base packages:\n[1] stats graphics grDevices utils datasets methods base\n\nother attached packages:\n[1] ranger_0.14.1 ggplot2_3.4.1\n",
    "model/MLmodel": mlmodel(best),
    "model/crate.bin": Buffer.alloc(48213, 7),
  };
  // Legal here, refused by MLflow's own server: left out when seeding that one for comparison.
  if (!process.env.WEIR_SEED_PLAIN)
    files["logs/100% done #1.txt"] = "a name with a space, a percent sign and a hash\n";
  for (const [path, bytes] of Object.entries(files)) {
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    await api.put(`${root(diamonds, best)}/${encoded}`, Buffer.from(bytes));
    artifactsOf[path] = bytes.length;
  }
  await api.post("runs/set-tag", {
    run_id: best,
    key: "mlflow.note.content",
    value: "Best of the first grid. **Do not delete**: the champion alias points here.",
  });
  const inputs = {
    run_id: best,
    datasets: [
      {
        tags: [{ key: "mlflow.data.context", value: "training" }],
        dataset: {
          name: "diamonds",
          digest: "a1f08c2e",
          source_type: "local",
          source: JSON.stringify({ uri: "ggplot2::diamonds" }),
          schema: JSON.stringify({ mlflow_colspec: [{ type: "double", name: "carat" }] }),
          profile: JSON.stringify({ num_rows: 43152, num_elements: 431520 }),
        },
      },
    ],
  };
  // The first servers do not know inputs of runs yet; everything else is required.
  await api.post("runs/log-inputs", inputs).catch((error) => {
    if (!error.message.includes("ENDPOINT_NOT_FOUND")) throw error;
  });

  // churn: a flat search with long curves, a diverged run and a running one
  const churn = await experiment(`churn-gbm${suffix}`);
  const total = small ? 60 : 220;
  await inParallel(
    Array.from({ length: total }, (_, i) => () => {
      const start = now - 9 * 1440 * MINUTE + i * 55 * MINUTE;
      const shrinkage = [0.01, 0.03, 0.1][i % 3];
      const depth = 2 + (i % 5);
      const steps = 120;
      const floor = 0.34 + 0.05 * rand() - 0.01 * depth;
      const loss = (lag, noise) =>
        Array.from(
          { length: steps },
          (_, s) => floor + 0.35 * Math.exp((-s * shrinkage) / lag) + noise * (rand() - 0.5),
        );
      const validation = loss(1.4, 0.012);
      const diverged = i === total - 4;
      if (diverged)
        for (let s = 70; s < steps; s++) validation[s] = s % 9 === 0 ? "Infinity" : "NaN";
      const auc = 0.78 + 0.14 * (1 - floor / 0.4) + 0.03 * rand();
      return run(churn, {
        name: `gbm-${String(i + 1).padStart(3, "0")}`,
        start,
        end: Math.round(start + 40_000 + rand() * 400_000),
        status:
          i === total - 1
            ? "RUNNING"
            : i % 37 === 11
              ? "FAILED"
              : i % 53 === 17
                ? "KILLED"
                : "FINISHED",
        params: {
          shrinkage,
          interaction_depth: depth,
          n_trees: 400 + 100 * (i % 4),
          bag_fraction: [0.5, 0.7, 1][i % 3],
          distribution: "bernoulli",
          cv_folds: 5,
        },
        metrics: {
          auc: diverged ? "NaN" : auc,
          f1: auc * 0.81,
          brier: 0.21 - 0.1 * auc,
          calls_per_day: Math.floor(1e6 * rand()),
          p_value: 10 ** (-3 - 4 * rand()),
        },
        series: { train_loss: loss(1, 0.004), val_loss: validation },
        tags: { ...source("churn/train.R"), data_version: `2026w${38 + Math.floor(i / 30)}` },
      });
    }),
  );

  // a run with very many metrics and a long series, for the run page
  const wide = await experiment(`embedding-sweep${suffix}`);
  const long = small ? 4000 : 20000;
  const wideRun = await run(wide, {
    name: "wide-and-long",
    start: now - 300 * MINUTE,
    end: now - 20 * MINUTE,
    status: "FINISHED",
    params: Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [`layer_${i}.units`, 2 ** (4 + (i % 6))]),
    ),
    metrics: Object.fromEntries(
      Array.from({ length: 950 }, (_, i) => [
        `layer_${String(i).padStart(3, "0")}/norm`,
        rand() * 10 ** Math.floor(rand() * 6 - 2),
      ]),
    ),
    series: {
      loss: Array.from({ length: long }, (_, s) =>
        s === Math.floor(long * 0.61) ? 9.5 : 0.2 + 3 * Math.exp(-s / (long / 6)) + 0.25 * rand(),
      ),
    },
    tags: { ...source("sweep.R"), "mlflow.runName": "wide-and-long" },
  });

  for (const name of small
    ? ["iris-species", "soil-moisture"]
    : [
        "iris-species",
        "soil-moisture",
        "demand-forecast",
        "fraud-glm",
        "credit-risk",
        "store-traffic",
        "wind-power",
        "readmission",
        "energy-load",
        "basket-affinity",
        "lead-scoring",
        "tumour-grade",
        "river-level",
        "bike-sharing",
        "claims-severity",
        "yield-maize",
        "text-topics",
        "survival-ovarian",
      ]) {
    const id = await experiment(`${name}${suffix}`);
    await run(id, {
      name: "baseline",
      start: now - Math.floor(rand() * 60) * 1440 * MINUTE,
      end: now,
      status: "FINISHED",
      params: { model: "glm" },
      metrics: { accuracy: 0.9 + rand() / 20 },
      tags: source("baseline.R"),
    });
  }
  const empty = await experiment(`empty${suffix}`);

  // the registry
  const model = `diamonds-price${suffix}`;
  await api.post("registered-models/create", {
    name: model,
    description: "Price of a diamond in US dollars.",
    tags: [{ key: "owner", value: "pricing" }],
  });
  for (let v = 1; v <= 4; v++)
    await api.post("model-versions/create", {
      name: model,
      source: `mlflow-artifacts:/${root(diamonds, best)}/model`,
      run_id: best,
      description: v === 3 ? "ranger, 500 trees, log price" : "",
      tags: [{ key: "validated", value: String(v > 1) }],
    });
  await api.post("registered-models/alias", { name: model, alias: "champion", version: "3" });
  await api.post("registered-models/alias", { name: model, alias: "challenger", version: "4" });
  await api.post("model-versions/transition-stage", {
    name: model,
    version: "3",
    stage: "Production",
    archive_existing_versions: false,
  });
  for (const name of ["churn-gbm", "iris-species", "store-traffic"]) {
    await api.post("registered-models/create", {
      name: `${name}${suffix}`,
      description: name === "churn-gbm" ? "Probability that a customer leaves within 90 days." : "",
    });
    if (name !== "store-traffic")
      await api.post("model-versions/create", {
        name: `${name}${suffix}`,
        source: `mlflow-artifacts:/${root(diamonds, best)}/model`,
        run_id: best,
      });
  }
  return { diamonds, best, churn, churnRuns: total, wide, wideRun, empty, model };
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) {
  const base = process.env.WEIR_URL ?? "http://127.0.0.1:5000";
  console.log(
    JSON.stringify(await seed(base.replace(/\/$/, ""), { small: process.argv[2] === "small" })),
  );
}
