import { lexer, type Token, type Tokens } from "marked";
import { Fragment, type ReactNode, useMemo } from "react";
import css from "./Markdown.module.css";

// Markdown becomes React elements, never HTML text: what the author writes as HTML is shown as it is written,
// so that a note or a report cannot run anything. Pictures are not fetched from elsewhere; their text stands in.

const safeLink = (href: string) => (/^(https?:|mailto:|#)/i.test(href) ? href : undefined);

/** The text of a leaf: the lexer keeps the entities of the source. */
function plain(text: string): string {
  const names: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (whole, name: string) => names[name] ?? whole);
}

function Inline({ tokens }: { tokens?: Token[] }): ReactNode {
  return tokens?.map((token, i) => {
    const key = `${i}-${token.type}`;
    const inner = "tokens" in token ? <Inline key={key} tokens={token.tokens} /> : null;
    switch (token.type) {
      case "strong":
        return <strong key={key}>{inner}</strong>;
      case "em":
        return <em key={key}>{inner}</em>;
      case "del":
        return <del key={key}>{inner}</del>;
      case "codespan":
        return <code key={key}>{plain(token.text)}</code>;
      case "br":
        return <br key={key} />;
      case "link": {
        const href = safeLink((token as Tokens.Link).href);
        return href ? (
          <a key={key} href={href} target="_blank" rel="noreferrer noopener">
            {inner}
          </a>
        ) : (
          <Fragment key={key}>{inner}</Fragment>
        );
      }
      case "image":
        return <Fragment key={key}>{plain(token.text)}</Fragment>;
      default:
        return (
          <Fragment key={key}>
            {"tokens" in token && token.tokens
              ? inner
              : plain("text" in token ? token.text : token.raw)}
          </Fragment>
        );
    }
  });
}

function Block({ token }: { token: Token }): ReactNode {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading": {
      // The page has its own h1; a text's headings come below it.
      const Tag = `h${Math.min(6, (token as Tokens.Heading).depth + 1)}` as "h2";
      return (
        <Tag>
          <Inline tokens={token.tokens} />
        </Tag>
      );
    }
    case "code":
      return (
        <pre>
          <code>{token.text}</code>
        </pre>
      );
    case "hr":
      return <hr />;
    case "blockquote":
      return <blockquote>{blocks(token.tokens)}</blockquote>;
    case "list": {
      const list = token as Tokens.List;
      const items = list.items.map((item, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the items of a parsed text never move
        <li key={i}>
          {item.task ? <input type="checkbox" disabled checked={item.checked} /> : null}
          {blocks(item.tokens)}
        </li>
      ));
      return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
    }
    case "table": {
      const { header, rows, align } = token as Tokens.Table;
      return (
        <table>
          <thead>
            <tr>
              {header.map((cell, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the cells of a parsed text never move
                <th key={i} style={{ textAlign: align[i] ?? undefined }}>
                  <Inline tokens={cell.tokens} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, r) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: as above
              <tr key={r}>
                {row.map((cell, i) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: as above
                  <td key={i} style={{ textAlign: align[i] ?? undefined }}>
                    <Inline tokens={cell.tokens} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      );
    }
    case "text":
      return "tokens" in token ? <Inline tokens={token.tokens} /> : plain(token.text);
    default:
      return (
        <p>
          {"tokens" in token && token.tokens ? <Inline tokens={token.tokens} /> : plain(token.raw)}
        </p>
      );
  }
}

// biome-ignore lint/suspicious/noArrayIndexKey: the blocks of a parsed text never move
const blocks = (tokens?: Token[]) => tokens?.map((token, i) => <Block key={i} token={token} />);

/** Shows a markdown text. */
export default function Markdown({ text }: { text: string }) {
  const tokens = useMemo(() => lexer(text), [text]);
  return <div className={css.markdown}>{blocks(tokens)}</div>;
}
