import { describe, expect, it } from "vitest";
import {
  alignmentPad,
  decimals,
  formatAgo,
  formatBytes,
  formatDuration,
  formatNumber,
} from "./format";

describe("formatNumber", () => {
  it.each([
    [541.3049, "541.30"],
    [1121.44, "1121.4"],
    [0.981523, "0.98152"],
    [0.000123456, "0.00012346"],
    [0.0000123456, "1.2346e−5"],
    [123456.7, "123457"],
    [239489, "239489"],
    [99999.96, "100000"],
    [12345678.9, "1.2346e7"],
    [2.415e-7, "2.4150e−7"],
    [-2.5, "−2.5000"],
    [0, "0"],
    [42, "42"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"],
    [Number.NEGATIVE_INFINITY, "−Infinity"],
  ])("shows %d with five significant digits", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });
});

describe("alignmentPad", () => {
  it("brings decimal points below each other", () => {
    const texts = ["541.30", "1121.4", "7", "1.2346e−5", "NaN"];
    const places = Math.max(...texts.map(decimals));
    expect(texts.map((t) => alignmentPad(t, places))).toEqual(["", "0", ".00", "", ""]);
  });
});

describe("other units", () => {
  it("tells durations", () => {
    expect([450, 7400, 19_000, 146_000, 3_599_700, 79_020_000, 2e8].map(formatDuration)).toEqual([
      "450 ms",
      "7.4 s",
      "19 s",
      "2 min 26 s",
      "59 min 59 s",
      "21 h 57 min",
      "2 d 7 h",
    ]);
  });

  it("tells sizes", () => {
    expect([0, 517, 1434, 48213, 1048576, 5e9].map(formatBytes)).toEqual([
      "0 B",
      "517 B",
      "1.4 KB",
      "47 KB",
      "1.0 MB",
      "4.7 GB",
    ]);
  });

  it("tells how long ago", () => {
    const now = 1_800_000_000_000;
    const ago = (ms: number) => formatAgo(now - ms, now);
    expect(ago(5_000)).toBe("just now");
    expect(ago(90_000)).toBe("2 min ago");
    expect(ago(3 * 3_600_000)).toBe("3 h ago");
    expect(ago(4 * 86_400_000)).toBe("4 days ago");
    expect(ago(-60_000)).toBe("just now");
  });
});
