import { describe, expect, it } from "vitest";
import { foldersAbove, looksBinary, parseDelimited, previewKind } from "./files";

describe("previewKind", () => {
  it.each([
    ["plots/a.PNG", "image"],
    ["x.svg", "image"],
    ["t.csv", "table"],
    ["model/MLmodel", "text"],
    ["MLproject", "text"],
    ["train.R", "text"],
    ["report.md", "markdown"],
    ["s.json", "json"],
    ["crate.bin", "binary"],
    ["model.rds", "binary"],
    ["NOTES", "unknown"],
  ])("%s is %s", (path, kind) => {
    expect(previewKind(path)).toBe(kind);
  });
});

describe("parseDelimited", () => {
  it("reads quotes, line breaks inside them, and both line ends", () => {
    const text = 'a,b\r\n"x, ""y""","1\n2"\n\n3,\n';
    expect(parseDelimited(text, ",", 10)).toEqual({
      header: ["a", "b"],
      rows: [
        ['x, "y"', "1\n2"],
        ["3", ""],
      ],
      more: false,
    });
  });

  it("stops at the limit and says so", () => {
    const found = parseDelimited("h\n1\n2\n3\n4", ",", 2);
    expect(found.rows).toEqual([["1"], ["2"]]);
    expect(found.more).toBe(true);
  });

  it("says that nothing is left when the rows just fit", () => {
    expect(parseDelimited("h\n1\n2\n", ",", 2).more).toBe(false);
  });
});

describe("looksBinary", () => {
  it("tells text from bytes", () => {
    expect(looksBinary("Grüße\tan\r\nalle")).toBe(false);
    expect(looksBinary("PK\u0003\u0004\u0000")).toBe(true);
    expect(looksBinary("\u0001\u0002\u0003abc")).toBe(true);
  });
});

it("names the folders above a file", () => {
  expect(foldersAbove("a/b/c.txt")).toEqual(["a", "a/b"]);
  expect(foldersAbove("c.txt")).toEqual([]);
});
