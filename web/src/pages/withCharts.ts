// The pages that draw curves come together in one piece: the chart library is theirs alone, and one request more is
// dearer than a few kilobytes.
export { ComparePage } from "./ComparePage";
export { MetricPage } from "./MetricPage";
export { RunPage } from "./RunPage";
