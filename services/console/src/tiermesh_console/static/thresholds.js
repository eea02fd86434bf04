// The threshold that is considered: dragged on a chart, or moved with the slider; what it means is read from the curve.
"use strict";

(() => {
  const card = document.getElementById("curve");
  if (!card) return;
  const figure = card.querySelector("figure");
  const { points, current, max_quality_loss: limit } = JSON.parse(figure.querySelector("script").textContent);
  const slider = document.getElementById("considered");
  const said = (name) => card.querySelector(`[data-of="${name}"]`);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const money = (micros) => {
    const dollars = micros / 1e6;
    return `$${dollars.toFixed(Math.abs(dollars) >= 100 ? 0 : Math.abs(dollars) >= 1 ? 2 : 3)}`;
  };
  // The curve is a step function: a threshold acts as the first point at or above it.
  const at = (threshold) => points.find((point) => point.threshold >= threshold - 1e-9) ?? points.at(-1);
  const change = (now, before, word) => (word(now) === word(before) ? "as now" : `now ${word(before)}`);

  const show = () => {
    const value = Number(slider.value);
    const [point, before] = [at(value), at(current)];
    document.getElementById("considered-value").textContent = value.toFixed(2);
    // Absent where only a family of intents is looked at: there is nothing to propose then.
    const wanted = document.getElementById("wanted");
    if (wanted) {
      wanted.value = value.toFixed(2);
      document.getElementById("wanted-words").textContent = value.toFixed(2);
    }
    said("escalated").textContent = percent(point.escalated.value);
    said("escalated-before").textContent = change(point.escalated.value, before.escalated.value, percent);
    said("loss").textContent = percent(point.loss.value);
    said("loss-bound").textContent = `at most ${percent(point.loss.high)}, ${change(point.loss.value, before.loss.value, percent)}`;
    said("cost").textContent = money(point.cost);
    said("cost-before").textContent = change(point.cost, before.cost, money);
    said("weighed").textContent = money(point.weighed);
    said("weighed-before").textContent = change(point.weighed, before.weighed, money);
    const verdict = document.getElementById("verdict");
    verdict.className = `verdict ${point.allowed ? "yes" : "no"}`;
    verdict.textContent = point.allowed
      ? "The bound on wrong answers is kept here."
      : `The bound is not kept: up to ${percent(point.loss.high)} may be wrong, ${percent(limit)} is allowed.`;
    place();
  };

  const grips = [];
  const place = () => {
    for (const { plot, grip } of grips) grip.style.left = `${plot.valToPos(Number(slider.value), "x")}px`;
  };
  const attach = (target) => {
    const { plot } = target;
    const known = grips.findIndex((each) => each.target === target);
    if (known >= 0) grips.splice(known, 1);
    // The slider is the same thing for keyboards and screen readers.
    const grip = document.createElement("div");
    grip.className = "grip";
    grip.setAttribute("aria-hidden", "true");
    grip.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      grip.setPointerCapture(event.pointerId);
    });
    grip.addEventListener("pointermove", (event) => {
      if (!grip.hasPointerCapture(event.pointerId)) return;
      const value = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
      slider.value = String(Math.min(Math.max(value, 0), 1));
      show();
    });
    plot.over.append(grip);
    grips.push({ target, plot, grip });
    plot.hooks.setSize = [...(plot.hooks.setSize ?? []), place];
    place();
  };
  const charts = [figure, document.querySelector('figure[data-chart="confidence"]')].filter((each) => each?.plot);
  for (const target of charts) {
    attach(target);
    target.addEventListener("chart:drawn", () => attach(target));
  }
  slider.addEventListener("input", show);
  document.getElementById("reset").addEventListener("click", () => {
    slider.value = String(current);
    show();
    slider.focus();
  });
  show();
})();
