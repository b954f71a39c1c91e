// The pages that draw curves come together in one piece: the chart library is theirs alone, and one request more is
// dearer than a few kilobytes.
export { ComparePage } from "./ComparePage";
export { CompareVersionsPage } from "./CompareVersionsPage";
export { MetricPage } from "./MetricPage";
export { RunCharts } from "./RunCharts";
export { RunPage } from "./RunPage";
