import { firstRunSnippets } from "../lib/snippets";
import { CodeTabs, serverUrl } from "./CodeTabs";
import css from "./GettingStarted.module.css";

/** What an experiment without runs shows: the few lines that make the first one. */
export function GettingStarted({ experiment }: { experiment: string }) {
  return (
    <div className={css.box}>
      <h2>No runs yet</h2>
      <p className="muted">These lines log the first one. It appears here as it starts.</p>
      <CodeTabs title="The first run" code={firstRunSnippets(serverUrl(), experiment)} />
    </div>
  );
}
