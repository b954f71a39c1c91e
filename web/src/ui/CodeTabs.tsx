import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import css from "./CodeTabs.module.css";
import { Copy, Section } from "./Page";

/** The server's address as clients are told it. */
export const serverUrl = () => new URL(".", document.baseURI).href.replace(/\/$/, "");

/** The same deed in several languages, to be copied. */
export function CodeTabs({ title, code }: { title: string; code: Record<string, string> }) {
  const languages = Object.keys(code);
  const [chosen, setLanguage] = useState(languages[0] ?? "");
  const language = chosen in code ? chosen : (languages[0] ?? "");
  const text = code[language] ?? "";
  return (
    <Section
      title={title}
      aside={
        <span className={css.tools}>
          <SegmentedControl
            size="xs"
            aria-label="Language"
            value={language}
            onChange={setLanguage}
            data={languages}
          />
          <Copy text={text} label="Copy the code" />
        </span>
      }
    >
      <pre className={css.code}>{text}</pre>
    </Section>
  );
}
