// Asks, and shows the answer as its events come. Whatever the suite says is put in as text, never as HTML.
"use strict";

const frame = document.querySelector(".ask");
const csrf = document.querySelector("meta[name=csrf]").content;
const turns = document.getElementById("turns");
const form = document.getElementById("question");
const field = document.getElementById("text");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const fresh = document.getElementById("fresh");
const ROUTES = { tier1: "Tier 1", aggregate: "Aggregate", tier2: "Tier 2", tier3: "Tier 3" };
const KINDS = { drill_down: "in detail", compare: "compare", act: "do", explain: "why" };
let conversation = "";
let running = null;

const element = (tag, className = "", text = "") => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
};
const named = (word) => {
  const plain = String(word ?? "").replaceAll(/[_-]/g, " ").trim();
  return plain.charAt(0).toUpperCase() + plain.slice(1);
};
const money = (micros) => {
  const dollars = micros / 1e6;
  return `$${dollars.toFixed(dollars >= 1 ? 2 : dollars >= 0.01 ? 3 : 5)}`;
};

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw await trouble(response);
  return response;
}

async function trouble(response) {
  let said = {};
  try { said = (await response.json()).error ?? {}; } catch { /* no words came with it */ }
  if (response.status === 401) said.mend = "Sign in again: load the page anew.";
  return new Error([said.message || `The console answered ${response.status}.`, said.mend].filter(Boolean).join(" "));
}

// One question and what comes of it.
class Turn {
  constructor(text) {
    this.text = text;
    this.node = element("article", "turn");
    this.node.append(element("p", "asked", text));
    this.answer = element("section", "answer");
    this.answer.setAttribute("aria-busy", "true");
    this.waiting = element("p", "waiting");
    this.waiting.append(element("i"), element("i"), element("i"), element("span", "sr", "Waiting for the answer"));
    this.answer.append(this.waiting);
    this.pills = element("div", "pills");
    this.node.append(this.answer, this.pills);
    turns.append(this.node);
    this.node.scrollIntoView({ block: "nearest" });
  }

  add(node) {
    this.answer.insertBefore(node, this.waiting.isConnected ? this.waiting : null);
    return node;
  }

  show(event) {
    const handler = `on_${event.event}`;
    if (!(handler in this)) return;
    // Who reads at the end stays at the end; who has scrolled up is left alone.
    const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 160;
    this[handler](event);
    if (atEnd) scrollTo({ top: document.documentElement.scrollHeight });
  }

  on_decision(event) {
    conversation = event.conversation_id;
    fresh.hidden = false;
    this.request = event.request_id;
    this.route = event.route;
    remember({ id: event.request_id, text: this.text, route: event.route });
    const why = element("details", "why");
    this.summary = element("summary");
    this.chip = element("span", `chip ${event.route}`, ROUTES[event.route] ?? named(event.route));
    this.summary.append(this.chip);
    const reasons = event.reasons ?? [];
    const words = reasons.map((reason) => named(reason.rule)).join(", then ");
    if (words) this.summary.append(element("span", "muted", words));
    const steps = element("ol", "steps");
    for (const reason of reasons) {
      const step = element("li");
      step.append(element("b", "", named(reason.rule)), element("span", "", reason.detail));
      steps.append(step);
    }
    why.append(this.summary, steps);
    const confidence = event.scores?.confidence?.value;
    const facts = [
      confidence === undefined ? "" : `Confidence ${confidence.toFixed(2)} against a threshold of ${event.threshold.value.toFixed(2)}.`,
      event.scores?.intent?.label ? `Intent ${named(event.scores.intent.label)}.` : "",
      event.otherwise ? `Otherwise: ${ROUTES[event.otherwise.route] ?? event.otherwise.route}, ${event.otherwise.detail}` : "",
    ];
    why.append(element("p", "muted", facts.filter(Boolean).join(" ")));
    this.add(why);
  }

  on_route_changed(event) {
    this.chip.className = `chip ${event.route}`;
    this.chip.textContent = ROUTES[event.route] ?? named(event.route);
    this.summary.append(element("span", "muted", `· ${event.detail || named(event.cause)}`));
  }

  on_tool(event) {
    this.activity ??= this.add(element("ul", "activity"));
    this.tools ??= new Map();
    let item = this.tools.get(event.call_id);
    if (!item) {
      item = element("li");
      this.tools.set(event.call_id, item);
      this.activity.append(item);
    }
    item.className = event.state;
    item.replaceChildren(element("span", "", [named(event.tool), event.detail].filter(Boolean).join(": ")));
  }

  on_text(event) {
    this.prose ??= this.add(element("p", "answer-text"));
    this.prose.append(event.text);
  }

  on_table(event) {
    this.add(tableOf(event));
    this.prose = null;
  }

  on_superseded(event) {
    for (const shown of this.answer.querySelectorAll(".answer-text, .scroll")) shown.remove();
    this.prose = null;
    this.add(element("p", "muted small", `What stood here was withdrawn: ${event.detail || named(event.cause)}.`));
  }

  on_clarification(event) {
    this.add(element("p", "answer-text", event.question));
    const options = this.add(element("div", "pills"));
    for (const option of event.options ?? []) options.append(pillOf(option, () => ask(option)));
  }

  on_proposal(event) {
    const box = this.add(element("div", "notice"));
    box.append(element("p", "notice-title", event.summary));
    const facts = element("dl", "pairs");
    for (const { name, value } of event.fields ?? []) {
      const pair = element("div");
      pair.append(element("dt", "", named(name)), element("dd", "", value));
      facts.append(pair);
    }
    const button = element("button", "primary", "Confirm");
    const said = element("p", "muted small", "Nothing is done until you confirm.");
    button.type = "button";
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const done = await (await post("/ask/confirm", { token: event.token })).json();
        said.textContent = done.repeated ? `${done.summary} It had been done before.` : done.summary;
        button.remove();
        box.classList.add("good");
      } catch (error) {
        said.textContent = error.message;
        button.disabled = false;
      }
    });
    box.append(facts, button, said);
  }

  on_answer_done(event) {
    this.waiting.remove();
    this.answer.setAttribute("aria-busy", "false");
    if (!event.complete && event.stop_reason !== "clarification") {
      this.fail(`The answer is not complete. ${event.error_message || named(event.stop_reason)}`);
    }
  }

  on_pill(event) {
    this.pills.append(
      pillOf(event.text, () => {
        // Whether the click is counted or not, the question goes on.
        post("/ask/feedback", { request_id: this.request, verdict: "pill", pill_id: event.pill_id }).catch(() => {});
        ask(event.text, event.token);
      }, KINDS[event.kind]),
    );
  }

  on_receipt(event) {
    const line = this.add(element("div", "receipt-line"));
    const cost = event.cost ?? {};
    for (const part of [
      `${cost.at_least ? "≥ " : ""}${money(cost.total_micros ?? 0)}`,
      `${cost.model_calls ?? 0} model calls`,
      event.statements ? `${event.statements} SQL` : "",
      event.timings?.answer_done ? `${(event.timings.answer_done / 1000).toFixed(2)} s` : "",
      event.model,
    ]) if (part) line.append(element("span", "", part));
    line.append(linkTo(`/receipts/${encodeURIComponent(event.request_id)}`, "Receipt"));
    if (event.trace_id) {
      const pattern = frame.dataset.trace;
      line.append(pattern
        ? linkTo(pattern.replace("{trace_id}", encodeURIComponent(event.trace_id)), "Trace")
        : Object.assign(element("span", "mono", `trace ${event.trace_id.slice(0, 8)}…`), { title: event.trace_id }));
    }
    line.append(this.thumbs(event.request_id));
  }

  thumbs(request) {
    const group = element("span", "thumbs");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Was this answer good?");
    for (const [verdict, words] of [["good", "Good"], ["bad", "Not good"]]) {
      const button = element("button", "quiet", words);
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", async () => {
        try {
          await post("/ask/feedback", { request_id: request, verdict });
          for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
        } catch (error) {
          this.fail(error.message);
        }
      });
      group.append(button);
    }
    return group;
  }

  on_trouble(event) {
    this.fail([event.message, event.mend].filter(Boolean).join(" "));
  }

  fail(words) {
    this.waiting.remove();
    this.answer.setAttribute("aria-busy", "false");
    const notice = element("div", "notice bad");
    notice.setAttribute("role", "alert");
    notice.append(element("p", "", words));
    this.add(notice);
  }
}

function linkTo(address, words) {
  const link = element("a", "", words);
  link.href = address;
  link.rel = "noreferrer";
  return link;
}

function pillOf(words, act, kind = "") {
  const button = element("button", "pill", words);
  button.type = "button";
  if (kind) button.append(element("span", "kind", ` ${kind}`));
  button.addEventListener("click", act);
  return button;
}

// Ids are of no use to a reader; a wide table also loses the columns that never change.
function readable(columns, rows) {
  let shown = columns.map((_, index) => index).filter((index) => !columns[index].name.endsWith("_id"));
  if (shown.length > 6 && rows.length > 1) {
    const changing = shown.filter((index) => new Set(rows.map((row) => String(row[index]))).size > 1);
    if (changing.length) shown = changing;
  }
  return shown.length ? shown : columns.map((_, index) => index);
}

function tableOf(event) {
  const box = element("div", "scroll");
  box.tabIndex = 0;
  const table = element("table");
  if (event.caption) table.append(element("caption", "", event.caption));
  const columns = event.columns ?? [];
  const shown = readable(columns, event.rows);
  const numeric = (column) => ["integer", "decimal", "double"].includes(column.type);
  // A number that is no measure, such as a rank, needs little room.
  const look = (column) => (numeric(column) ? (column.measure ? "num" : "num narrow") : "");
  const head = table.createTHead().insertRow();
  for (const index of shown) {
    const column = columns[index];
    const label = column.label || named(column.name);
    const unit = column.currency || column.unit || "";
    const cell = element("th", look(column), unit && !label.toLowerCase().includes(unit.toLowerCase()) ? `${label} (${unit})` : label);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of event.rows) {
    const line = body.insertRow();
    for (const index of shown) {
      const value = row[index];
      const words = value === null ? "—" : typeof value === "number" && !Number.isInteger(value) ? value.toLocaleString(undefined, { maximumFractionDigits: 2 }) : String(value);
      line.append(element("td", look(columns[index]), words));
    }
  }
  box.append(table);
  for (const note of event.notes ?? []) box.append(element("p", "muted small", note));
  if (event.truncated) box.append(element("p", "muted small", "There are more rows than are shown."));
  return box;
}

function remember(entry) {
  const key = `asked ${frame.dataset.subject}`;
  try {
    const known = JSON.parse(sessionStorage.getItem(key)) ?? [];
    sessionStorage.setItem(key, JSON.stringify([entry, ...known.filter((each) => each.id !== entry.id)].slice(0, 50)));
  } catch { /* storage is off: the Receipts page lists nothing */ }
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) yield JSON.parse(part);
  }
  if (rest) yield JSON.parse(rest);
}

async function ask(text, pill = "") {
  if (running || !text.trim()) return;
  document.getElementById("blank").hidden = true;
  const turn = new Turn(text);
  running = new AbortController();
  send.disabled = true;
  stop.hidden = false;
  let ended = false;
  try {
    const response = await fetch("/ask/stream", {
      method: "POST",
      signal: running.signal,
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify({
        text,
        conversation_id: conversation,
        request_id: crypto.randomUUID?.() ?? "",
        pill_token: pill,
        min_tier: document.getElementById("min-tier").value,
      }),
    });
    if (!response.ok) throw await trouble(response);
    for await (const event of lines(response.body)) {
      turn.show(event);
      ended ||= event.event === "receipt" || event.event === "trouble";
    }
    if (!ended) turn.fail("The answer was cut off before its end.");
  } catch (error) {
    const stopped = running.signal.aborted;
    turn.fail(stopped ? "Stopped. What stands here is not a whole answer." : error instanceof TypeError ? "The console cannot be reached." : error.message);
  } finally {
    running = null;
    send.disabled = false;
    stop.hidden = true;
    turn.waiting.remove();
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return;
  const text = field.value;
  field.value = "";
  field.style.height = "";
  ask(text);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
field.addEventListener("input", () => {
  field.style.height = "";
  field.style.height = `${field.scrollHeight}px`;
});
stop.addEventListener("click", () => running?.abort());
fresh.addEventListener("click", () => {
  running?.abort();
  conversation = "";
  turns.replaceChildren();
  document.getElementById("blank").hidden = false;
  fresh.hidden = true;
  field.focus();
});
for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => ask(example.textContent));
}
field.focus();
