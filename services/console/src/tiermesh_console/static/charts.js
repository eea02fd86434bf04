// Draws the charts of a page with uPlot. Each figure brings its numbers as JSON; a table with the same numbers follows it.
// `figure.plot` is the drawn chart; "chart:drawn" is told on the figure whenever it is drawn anew.
"use strict";

(() => {
  const COLOURS = { tier1: "tier1", aggregate: "aggregate", tier2: "tier2", tier3: "tier3", 1: "tier1", 2: "tier2", 3: "tier3",
    rule: "aggregate", trained: "tier1", llm: "tier2", inherited: "violet", pill: "muted",
    escalated: "tier2", bounces: "violet", quality_loss: "tier3", cost_inflation: "tier2" };
  const SPARE = ["tier1", "tier2", "aggregate", "violet", "tier3", "muted"];
  const FONT = '12px system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(`--${name}`).trim();
  };
  const faint = (hex, share) => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${red}, ${green}, ${blue}, ${share})`;
  };
  const dollars = (value) => value === null || value === undefined ? "—" : value === 0 ? "$0" : `$${value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 3)}`;
  const percent = (value) => value === null || value === undefined ? "—" : `${value.toFixed(1)} %`;
  const whole = (value) => value === null || value === undefined ? "—" : Math.round(value).toLocaleString();
  // A rate of fewer turns than this jumps between nothing and all: the line leaves it out, the table has it.
  const FEW = 5;
  const enough = (values, counts) => values.map((value, index) => (counts[index] < FEW ? null : value));
  const decimal = (value) => value === null || value === undefined ? "—" : value.toFixed(2);

  const axis = (colour, values, more = {}) => ({
    stroke: colour("muted"), font: FONT, values,
    grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 }, ...more,
  });
  const time = (colour) => axis(colour, undefined, { grid: { show: false }, space: 70 });
  const right = (colour, values, scale) => axis(colour, values, { side: 1, scale, grid: { show: false } });
  const each = (format) => (_plot, ticks) => ticks.map(format);

  // A vertical stroke from low to high at each point.
  const whiskers = (colour, scale, intervals) => (plot) => {
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    for (const [x, low, high] of intervals) {
      const at = plot.valToPos(x, "x", true);
      ctx.moveTo(at, plot.valToPos(low, scale, true));
      ctx.lineTo(at, plot.valToPos(high, scale, true));
    }
    ctx.stroke();
    ctx.restore();
  };
  const level = (colour, scale, value) => (plot) => {
    const { ctx, bbox } = plot;
    const at = plot.valToPos(value, scale, true);
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, at);
    ctx.lineTo(bbox.left + bbox.width, at);
    ctx.stroke();
    ctx.restore();
  };

  const kinds = {
    curve(data, colour) {
      const points = data.points;
      const loss = points.map((point) => 100 * point.loss.value);
      const bound = points.map((point) => 100 * point.loss.high);
      const shade = (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.fillStyle = faint(colour("aggregate"), 0.1);
        points.forEach((point, index) => {
          if (!point.allowed) return;
          const from = index ? (points[index - 1].threshold + point.threshold) / 2 : point.threshold;
          const to = index + 1 < points.length ? (points[index + 1].threshold + point.threshold) / 2 : point.threshold;
          // On whole pixels, so that neighbours leave no seam.
          const left = Math.round(plot.valToPos(from, "x", true));
          ctx.fillRect(left, bbox.top, Math.round(plot.valToPos(to, "x", true)) - left, bbox.height);
        });
        ctx.restore();
      };
      return {
        data: [points.map((point) => point.threshold), points.map((point) => point.weighed / 1e6), points.map((point) => point.cost / 1e6), loss, bound],
        scales: { x: { time: false, range: [0, 1] }, y: { range: (_plot, _low, high) => [0, high * 1.08 || 1] }, share: { range: (_plot, _low, high) => [0, Math.max(high, 100 * data.max_quality_loss) * 1.15 || 1] } },
        axes: [axis(colour, each((value) => value.toFixed(1)), { size: 34 }), axis(colour, each(dollars), { size: 60 }), right(colour, each((value) => `${value} %`), "share")],
        series: [
          {},
          { label: "Cost, wrong answers weighed", stroke: colour("accent"), width: 2.5, format: dollars, points: { show: false } },
          { label: "Models alone", stroke: colour("muted"), width: 1.5, format: dollars, points: { show: false } },
          { label: "Answered wrong", stroke: colour("tier3"), width: 2, scale: "share", format: percent, points: { show: false } },
          { label: "its bound", stroke: faint(colour("tier3"), 0.6), width: 1, dash: [3, 3], scale: "share", format: percent, points: { show: false } },
        ],
        bands: [{ series: [4, 3], fill: faint(colour("tier3"), 0.1) }],
        hooks: { drawClear: [shade], draw: [level(colour("tier3"), "share", 100 * data.max_quality_loss)] },
        notes: [["Bound kept", faint(colour("aggregate"), 0.25)]],
      };
    },

    confidence(data, colour) {
      const rated = data.bands.filter((band) => band.success);
      const middle = (band) => (band.low + band.high) / 2;
      return {
        data: [data.bands.map(middle), data.bands.map((band) => band.decisions), data.bands.map((band) => (band.success ? 100 * band.success.value : null))],
        scales: { x: { time: false, range: [0, 1] }, y: { range: (_plot, _low, high) => [0, high * 1.1 || 1] }, share: { range: [0, 105] } },
        axes: [axis(colour, each((value) => value.toFixed(1)), { size: 34 }), axis(colour, each(whole), { size: 54 }), right(colour, each((value) => (value <= 100 ? `${value} %` : "")), "share")],
        series: [
          {},
          { label: "Decisions", fill: faint(colour("tier1"), 0.28), stroke: faint(colour("tier1"), 0.55), width: 1, paths: uPlot.paths.bars({ size: [0.86, 80] }), points: { show: false }, format: whole },
          { label: "Right", stroke: colour("aggregate"), scale: "share", paths: () => null, points: { show: true, size: 7, fill: colour("aggregate") }, format: percent },
        ],
        hooks: { draw: [whiskers(colour("aggregate"), "share", rated.map((band) => [middle(band), 100 * band.success.low, 100 * band.success.high]))] },
      };
    },

    reliability(data, colour) {
      const diagonal = (plot) => {
        const { ctx } = plot;
        ctx.save();
        ctx.strokeStyle = colour("muted");
        ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(plot.valToPos(0, "x", true), plot.valToPos(0, "y", true));
        ctx.lineTo(plot.valToPos(1, "x", true), plot.valToPos(1, "y", true));
        ctx.stroke();
        ctx.restore();
      };
      return {
        data: [data.bins.map((bin) => bin.said), data.bins.map((bin) => bin.success.value)],
        scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1.02] } },
        axes: [axis(colour, each((value) => value.toFixed(1)), { size: 34 }), axis(colour, each((value) => value.toFixed(1)), { size: 44 })],
        series: [{}, { label: "Right, by said confidence", stroke: colour("tier1"), width: 2, points: { show: true, size: 7, fill: colour("tier1") }, format: decimal }],
        hooks: { drawClear: [diagonal], draw: [whiskers(colour("tier1"), "y", data.bins.map((bin) => [bin.said, bin.success.low, bin.success.high]))] },
      };
    },

    shares(data, colour) {
      const stroke = (series, index) => colour(COLOURS[series.name] ?? SPARE[index % SPARE.length]);
      return {
        data: [data.times, ...data.series.map((series) => enough(series.values, data.counts))],
        scales: { y: { range: [0, 100] } },
        axes: [time(colour), axis(colour, each((value) => `${value} %`), { size: 54 })],
        series: [{}, ...data.series.map((series, index) => ({ label: series.label, stroke: stroke(series, index), width: 2, spanGaps: true, format: percent }))],
        hooks: { draw: data.series.filter((series) => series.aim !== undefined).map((series) => level(stroke(series, data.series.indexOf(series)), "y", series.aim)) },
      };
    },

    rates(data, colour) {
      const stroke = (series, index) => colour(COLOURS[series.name] ?? SPARE[index]);
      const bounds = data.series.flatMap((series) => [enough(series.high, series.counts), enough(series.low, series.counts)]);
      return {
        data: [data.times, ...data.series.map((series) => enough(series.values, series.counts)), ...bounds],
        scales: { y: { range: (_plot, _low, high) => [0, Math.min(Math.max(high ?? 1, 1) * 1.1, 100)] } },
        axes: [time(colour), axis(colour, each((value) => `${value} %`), { size: 54 })],
        series: [{}, ...data.series.map((series, index) => ({ label: series.label, stroke: stroke(series, index), width: 2, spanGaps: true, format: percent })),
          ...bounds.map(() => ({ stroke: "transparent", width: 0, spanGaps: true, points: { show: false }, silent: true }))],
        bands: data.series.map((series, index) => ({ series: [1 + data.series.length + 2 * index, 2 + data.series.length + 2 * index], fill: faint(stroke(series, index), 0.12) })),
      };
    },

    spend(data, colour) {
      return {
        data: [data.times, data.dollars, data.questions],
        // Half a bar of room at both ends.
        scales: { x: { range: (_plot, low, high) => { const room = (high - low) / Math.max(data.times.length - 1, 1) / 2 || 43200; return [low - room, high + room]; } }, y: { range: (_plot, _low, high) => [0, high * 1.1 || 1] }, count: { range: (_plot, _low, high) => [0, high * 1.1 || 1] } },
        axes: [time(colour), axis(colour, each(dollars), { size: 60 }), right(colour, each(whole), "count")],
        series: [
          {},
          { label: "Cost", fill: faint(colour("tier1"), 0.28), stroke: faint(colour("tier1"), 0.55), width: 1, paths: uPlot.paths.bars({ size: [0.8, 60] }), points: { show: false }, format: dollars },
          { label: "Questions", stroke: colour("tier2"), width: 2, scale: "count", format: whole },
        ],
      };
    },
  };

  const legend = (figure, series, notes = []) => {
    const row = figure.querySelector(".legend");
    row.replaceChildren();
    const shown = new Map();
    const put = (colour, words) => {
      const entry = document.createElement("span");
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = colour;
      swatch.style.borderRadius = "3px";
      const value = document.createElement("b");
      entry.append(swatch, words, value);
      row.append(entry);
      return value;
    };
    series.forEach((one, index) => {
      if (index && !one.silent) shown.set(index, put(one.paths && one.fill ? one.fill : one.stroke, one.label));
    });
    for (const [words, colour] of notes) put(colour, words);
    return (plot) => {
      for (const [index, value] of shown) {
        const at = plot.cursor.idx;
        value.textContent = at === null || at === undefined ? "" : plot.series[index].format(plot.data[index][at]);
      }
    };
  };

  const size = (figure) => {
    const box = figure.querySelector(".plot");
    return { width: Math.max(box.clientWidth, 200), height: figure.classList.contains("tall") ? 320 : 240 };
  };

  const draw = (figure) => {
    const numbers = JSON.parse(figure.querySelector("script").textContent);
    const { data, hooks = {}, notes, ...options } = kinds[figure.dataset.chart](numbers, theme());
    const tell = legend(figure, options.series, notes);
    figure.plot?.destroy();
    figure.plot = new uPlot(
      { ...size(figure), ...options, hooks: { ...hooks, setCursor: [tell] }, legend: { show: false }, cursor: { points: { size: 8 }, drag: { x: false, y: false }, y: false }, padding: [10, 8, 0, 0] },
      data,
      figure.querySelector(".plot"),
    );
    figure.dispatchEvent(new CustomEvent("chart:drawn"));
  };

  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const figure = target.parentElement;
      if (figure.plot && figure.plot.width !== size(figure).width) figure.plot.setSize(size(figure));
    }
  });
  for (const figure of figures) {
    draw(figure);
    resized.observe(figure.querySelector(".plot"));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures.forEach(draw));
})();
