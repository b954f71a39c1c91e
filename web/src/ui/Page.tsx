import { CopyButton, UnstyledButton } from "@mantine/core";
import { Link, type LinkProps } from "@tanstack/react-router";
import { Fragment, type ReactNode, useEffect, useState } from "react";
import { formatAgo, formatTime } from "../lib/format";
import { CheckIcon, ChevronRight, CopyIcon } from "./icons";
import css from "./Page.module.css";

export interface Crumb {
  label: string;
  link: LinkProps;
}

/** The heading of a page: where it is, what it is, what can be done. It keeps its height while loading. */
export function PageHead(props: {
  crumbs?: Crumb[];
  title: ReactNode;
  name: string;
  children?: ReactNode;
}) {
  useEffect(() => {
    document.title = props.name ? `${props.name} · Weir` : "Weir";
  }, [props.name]);
  return (
    <div className={css.head}>
      {props.crumbs?.map((crumb, i) => (
        <Fragment key={crumb.label}>
          {/* The first one is in the bar above as well, so the Tab key need not stop here again. */}
          <Link
            {...crumb.link}
            tabIndex={i === 0 ? -1 : undefined}
            className={`${css.crumb} truncate`}
          >
            {crumb.label}
          </Link>
          <span className={css.slash}>
            <ChevronRight size={12} />
          </span>
        </Fragment>
      ))}
      <h1 className={css.title}>{props.title}</h1>
      {props.children}
    </div>
  );
}

/** A small button that copies a text and says so. */
export function Copy({ text, label }: { text: string; label: string }) {
  return (
    <CopyButton value={text} timeout={1500}>
      {({ copied, copy }) => (
        <UnstyledButton
          className={css.copy}
          onClick={copy}
          aria-label={copied ? "Copied" : label}
          title={copied ? "Copied" : label}
          data-done={copied || undefined}
        >
          {copied ? <CheckIcon /> : <CopyIcon />}
        </UnstyledButton>
      )}
    </CopyButton>
  );
}

/** The time by which relative times are told; it moves on every half minute. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function Ago({ time, now }: { time?: number; now: number }) {
  if (!time) return <span className="muted">–</span>;
  return <time title={formatTime(time)}>{formatAgo(time, now)}</time>;
}

/** A titled part of a page. */
export function Section(props: { title: ReactNode; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className={css.section}>
      <div className={css.sectionHead}>
        <h2>{props.title}</h2>
        {props.aside}
      </div>
      {props.children}
    </section>
  );
}

/** Names and what they are, side by side. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className={css.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** An alias of a model version, or another short name that stands out. */
export function Chip({ children, tone }: { children: ReactNode; tone?: "plain" | "accent" }) {
  return (
    <span className={css.chip} data-tone={tone ?? "plain"}>
      {children}
    </span>
  );
}
