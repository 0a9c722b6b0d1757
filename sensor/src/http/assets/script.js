// Fetches the status and the incidents every two seconds and writes them as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);

function cell(row, text, className) {
  const element = document.createElement("td");
  element.textContent = text;
  if (className) element.className = className;
  row.append(element);
}

function amount(value, unit) {
  const steps = ["", "k", "M", "G", "T"];
  let step = 0;
  while (Math.abs(value) >= 1000 && step < steps.length - 1) { value /= 1000; step += 1; }
  return (step === 0 && Number.isInteger(value) ? value : value.toFixed(1)) + " " + steps[step] + unit;
}

function duration(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"]].filter(([size]) => seconds >= size);
  return parts.length ? Math.floor(seconds / parts[0][0]) + " " + parts[0][1] : Math.floor(seconds) + " s";
}

function facts(list) {
  const target = byId("now");
  target.replaceChildren();
  for (const [name, value] of list) {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    target.append(term, text);
  }
}

function showStatus(status) {
  const phase = byId("phase");
  const progress = status.phase === "learning" ? " " + Math.floor(status.learning_progress_ratio * 100) + " %" : "";
  phase.textContent = status.phase + progress;
  phase.className = status.phase === "detecting" ? "good" : status.phase === "degraded" ? "bad" : "warn";
  const problem = byId("problem");
  problem.hidden = status.problems.length === 0;
  problem.textContent = status.problems.join("; ");
  facts([
    ["traffic", amount(status.packets_per_second, "packets/s") + ", " + amount(status.bits_per_second, "bit/s")],
    ["flows followed", String(status.flows_live)],
    ["flow table", status.flow_table_entries + " of " + status.flow_table_capacity],
    ["windows of " + status.window_seconds + " s", String(status.windows)],
    ["packets in no flow", status.packets_overflow + " overflow, " + status.packets_skipped + " skipped"],
    ["model", status.model ? status.model.id + " (" + status.model.detector + ")" : "none yet"],
    ["false alarms accepted", status.alarm_budget_per_day + " a day"],
    ["running", duration(status.uptime_seconds) + ", version " + status.version],
  ]);
  const rows = status.interfaces.map((one) => {
    const row = document.createElement("tr");
    cell(row, one.name);
    cell(row, one.egress ? one.ingress + ", " + one.egress + " egress" : one.ingress);
    cell(row, amount(one.receive_packets_per_second, "packets/s"), "number");
    cell(row, amount(one.transmit_packets_per_second, "packets/s"), "number");
    return row;
  });
  byId("interfaces").replaceChildren(...rows);
}

function showIncidents(incidents) {
  const bad = ["high", "critical"];
  const rows = incidents.map((one) => {
    const row = document.createElement("tr");
    cell(row, new Date(one.first_seen).toLocaleString());
    cell(row, one.suppressed_by ? one.state + ", hidden by suppression " + one.suppressed_by : one.state);
    cell(row, one.severity, bad.includes(one.severity) ? "bad" : "warn");
    cell(row, one.summary);
    return row;
  });
  byId("incidents").replaceChildren(...rows);
  byId("quiet").hidden = rows.length > 0;
}

async function refresh() {
  try {
    const get = async (path) => (await fetch(path, { signal: AbortSignal.timeout(5000) })).json();
    showStatus(await get("/api/v1/status"));
    // Without them the status says why.
    showIncidents((await get("/api/v1/incidents?limit=50")).incidents || []);
  } catch {
    byId("phase").textContent = "sensor does not answer";
    byId("phase").className = "bad";
  }
  setTimeout(refresh, 2000);
}

refresh();
