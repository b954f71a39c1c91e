import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import css from "./GettingStarted.module.css";
import { Copy } from "./Page";

type Language = "R" | "Python";

const quoted = (text: string) => JSON.stringify(text);

function snippets(url: string, experiment: string): Record<Language, string> {
  return {
    R: `library(mlflow)
mlflow_set_tracking_uri(${quoted(url)})
mlflow_set_experiment(${quoted(experiment)})

with(mlflow_start_run(), {
  mlflow_log_param("alpha", 0.5)
  mlflow_log_metric("rmse", 0.73)
})`,
    Python: `import mlflow

mlflow.set_tracking_uri(${quoted(url)})
mlflow.set_experiment(${quoted(experiment)})

with mlflow.start_run():
    mlflow.log_param("alpha", 0.5)
    mlflow.log_metric("rmse", 0.73)`,
  };
}

/** What an experiment without runs shows: the few lines that make the first one. */
export function GettingStarted({ experiment }: { experiment: string }) {
  const [language, setLanguage] = useState<Language>("R");
  const url = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const code = snippets(url, experiment)[language];
  return (
    <div className={css.box}>
      <h2>No runs yet</h2>
      <p className="muted">These lines log the first one. It appears here as it starts.</p>
      <div className={css.top}>
        <SegmentedControl
          size="xs"
          aria-label="Language"
          value={language}
          onChange={(value) => setLanguage(value as Language)}
          data={["R", "Python"]}
        />
        <Copy text={code} label="Copy the code" />
      </div>
      <pre className="mono">{code}</pre>
    </div>
  );
}
