// Draws what a page's JSON blocks hold: <div class="chart" data-chart="KIND" data-source="ID of the block">. A chart is drawn
// again when its block has changed, at most once a second. Text is drawn on a canvas: nothing of it is ever markup. The
// library is loaded when a page has its first chart, and not at all by a page without one.
import { inUtc } from "./times.js";

const LIBRARY = new URL("vendor/echarts/echarts.common.min.js", import.meta.url);
const REDRAW_MS = 1_000;
const MOST_POINTS = 1_000;
const SILENT_MS = 15_000; // longer without a number: the page was asleep, or not connected
const LEAST_SPAN_MS = 60_000;
const drawn = new Map(); // element → { chart, text, at, timer }

const dark = matchMedia("(prefers-color-scheme: dark)");

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

// A number as the pages have it: with the same minus, and no more digits than matter.
function shown(value) {
  if (typeof value !== "number") return value ?? "\u2013";
  return value.toLocaleString("en", { maximumSignificantDigits: 6 }).replace("-", "\u2212");
}

function base(colour) {
  return {
    animation: false,
    useUTC: inUtc(),
    textStyle: { fontFamily: "system-ui, sans-serif", color: colour("ink") },
    grid: { left: 6, right: 14, top: 14, bottom: 4, containLabel: true },
    tooltip: {
      trigger: "axis", renderMode: "richText", confine: true, backgroundColor: colour("raised"),
      borderColor: colour("line"), textStyle: { color: colour("ink"), fontSize: 12 }, valueFormatter: shown,
    },
  };
}

function axes(colour, more = {}) {
  const label = { color: colour("dim"), fontSize: 11, hideOverlap: true, showMaxLabel: false };
  const line = { lineStyle: { color: colour("line") } };
  return {
    xAxis: { type: "time", axisLabel: label, axisLine: line, axisTick: line, splitNumber: 4 },
    yAxis: { type: "value", axisLabel: { ...label, formatter: shown }, splitLine: line, splitNumber: 3, ...more },
  };
}

function limits(given, colour) {
  return ["warning", "critical"].filter((name) => given[name] !== null && given[name] !== undefined).map((name) => ({
    yAxis: given[name],
    lineStyle: { color: colour(name), type: "dashed" },
    label: { formatter: name, color: colour(name), position: "insideStartTop", fontSize: 11 },
  }));
}

function marks(given, colour) {
  return given.map((mark) => ({
    xAxis: mark.time,
    lineStyle: { color: colour(mark.severity), width: 1 },
    label: { formatter: "▼", color: colour(mark.severity), fontSize: 10, distance: 0, position: "end" },
  }));
}

const KINDS = {
  // A statistic over time: { name, times, values, warning, critical, marks }.
  statistic(data, colour) {
    const highest = Math.max(...data.values.filter((value) => value !== null), data.critical ?? 0, data.warning ?? 0);
    return {
      ...base(colour),
      ...axes(colour, { min: 0, max: Number((highest * 1.12 || 1).toPrecision(2)) }),
      series: [{
        type: "line", name: data.name, showSymbol: data.times.length < 40, symbolSize: 4, connectNulls: false,
        data: data.times.map((time, place) => [time, data.values[place]]),
        lineStyle: { color: colour("win"), width: 2 }, itemStyle: { color: colour("win") },
        markLine: {
          silent: true, symbol: "none", data: [...limits(data, colour), ...marks(data.marks, colour)],
        },
      }],
    };
  },
  // Events a second until `end`: { name, points: [[time, value], …], end, live }; null where none came.
  traffic(data, colour) {
    const { xAxis, yAxis } = axes(colour, { min: 0, minInterval: 1 });
    const latest = Math.max(data.points.at(-1)?.[0] ?? 0, data.end);
    return {
      ...base(colour),
      xAxis: { ...xAxis, splitNumber: 2, min: Math.min(data.points[0]?.[0] ?? latest, latest - LEAST_SPAN_MS), max: latest },
      yAxis,
      series: [{
        type: "line", name: data.name, showSymbol: false, connectNulls: false, data: data.points, areaStyle: { color: colour("win"), opacity: 0.15 },
        lineStyle: { color: colour("win"), width: 1.5 }, itemStyle: { color: colour("win") },
      }],
    };
  },
  // A metric over time with its interval and baseline: { name, times, values, low, high, baseline, start, end }. A point alone
  // has the axis of its window, since of itself it has none.
  metric(data, colour) {
    const { xAxis, yAxis } = axes(colour, { scale: true });
    const [only] = data.times;
    const alone = data.times.length > 1 ? {} : { min: Math.min(data.start, only), max: Math.max(data.end, only) };
    const points = (values) => data.times.map((time, place) => [time, values[place]]);
    const bound = { type: "line", showSymbol: false, lineStyle: { color: colour("win"), opacity: 0.35, type: "dotted" }, silent: true };
    return {
      ...base(colour),
      xAxis: { ...xAxis, ...alone },
      yAxis,
      series: [
        {
          type: "line", name: data.unit ? `${data.name}, ${data.unit}` : data.name, symbolSize: 5, data: points(data.values),
          lineStyle: { color: colour("win"), width: 2 }, itemStyle: { color: colour("win") },
          markLine: data.baseline === null ? undefined : {
            silent: true, symbol: "none",
            data: [{ yAxis: data.baseline, lineStyle: { color: colour("dim"), type: "dashed" }, label: { formatter: "baseline", color: colour("dim"), position: "insideStartTop", fontSize: 11 } }],
          },
        },
        { ...bound, name: "low", data: points(data.low) },
        { ...bound, name: "high", data: points(data.high) },
      ],
    };
  },
};

function draw(element) {
  const source = document.getElementById(element.dataset.source);
  if (!source) return;
  const known = drawn.get(element) ?? {};
  if (known.text === source.textContent) return;
  const wait = (known.at ?? -REDRAW_MS) + REDRAW_MS - performance.now();
  if (wait > 0) {
    known.timer ??= setTimeout(() => { known.timer = undefined; if (element.isConnected) draw(element); }, wait);
    return;
  }
  known.chart ??= window.echarts.init(element);
  known.text = source.textContent;
  known.at = performance.now();
  known.chart.setOption(KINDS[element.dataset.chart](JSON.parse(known.text), colours()), { notMerge: true });
  drawn.set(element, known);
  resized.observe(element);
}

const resized = new ResizeObserver((entries) => {
  for (const entry of entries) drawn.get(entry.target)?.chart.resize();
});

let library;

function load() {
  if (library) return;
  library = document.createElement("script");
  library.src = LIBRARY;
  library.addEventListener("load", drawAll);
  library.addEventListener("error", () => { library = undefined; }); // asked for again at the next refresh
  document.head.append(library);
}

export function drawAll() {
  for (const [element, { chart, timer }] of drawn) {
    if (element.isConnected) continue;
    clearTimeout(timer);
    chart.dispose();
    resized.unobserve(element);
    drawn.delete(element);
  }
  const found = document.querySelectorAll(".chart[data-chart]");
  if (window.echarts) found.forEach(draw);
  else if (found.length) load();
}

function redrawAll() {
  for (const known of drawn.values()) known.text = undefined;
  drawAll();
}

// Between two panes each `state` appends what comes now to the block of its model; where nothing was heard the line breaks.
document.body.addEventListener("dg:state", (event) => {
  const { model, time, rate } = event.detail;
  const element = document.querySelector(`.chart[data-appends="${CSS.escape(model)}"]`);
  const source = element && document.getElementById(element.dataset.source);
  if (!source || rate === null) return;
  const data = JSON.parse(source.textContent);
  const last = data.points.at(-1)?.[0];
  if (!data.live || last >= time) return;
  const gap = time - last > SILENT_MS ? [[last, null]] : [];
  data.points = [...data.points, ...gap, [time, rate]].slice(-MOST_POINTS);
  source.textContent = JSON.stringify(data);
  if (window.echarts) draw(element);
});

document.body.addEventListener("htmx:afterSettle", drawAll);
dark.addEventListener("change", redrawAll);
document.body.addEventListener("dg:zone", redrawAll);
if (document.readyState === "complete") drawAll();
else addEventListener("load", drawAll);
