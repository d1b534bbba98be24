"use strict";
const SVG = "http://www.w3.org/2000/svg";

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function address(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("[data-in]")) {
    if (field.dataset.in === "path") {
      path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    } else if (field.value !== "") {
      const texts = "list" in field.dataset ? field.value.split(",") : [field.value];
      for (const text of texts) query.append(field.name, text.trim());
    }
  }
  return query.size ? `${path}?${query}` : path;
}

function rect(className, x, width) {
  const made = document.createElementNS(SVG, "rect");
  made.setAttribute("class", className);
  made.setAttribute("x", `${x}%`);
  made.setAttribute("width", `${width}%`);
  made.setAttribute("height", "100%");
  made.setAttribute("rx", "3");
  return made;
}

function timeline(header) {
  const steps = [];
  for (const entry of header.match(/(?:[^,"]|"[^"]*")+/g) || []) {
    const start = /;start=([\d.]+)/.exec(entry);
    const took = /;dur=([\d.]+)/.exec(entry);
    if (start && took) {
      steps.push({ name: entry.trim().split(";")[0], start: +start[1], took: +took[1] });
    }
  }
  const made = element("div", undefined, "timeline");
  const end = Math.max(0.1, ...steps.map((step) => step.start + step.took));
  for (const step of steps) {
    const track = document.createElementNS(SVG, "svg");
    track.setAttribute("class", "track");
    const left = (100 * step.start) / end;
    const width = Math.max(0.5, (100 * step.took) / end);
    track.append(rect("lane", 0, 100), rect("bar", Math.min(left, 99.5), width));
    made.append(element("code", step.name), track, element("small", `${step.took} ms`));
  }
  return made;
}

async function shown(response, text, took) {
  const made = document.createDocumentFragment();
  const line = element("div");
  const kind = response.ok ? "status good" : "status bad";
  line.append(element("span", `${response.status} ${response.statusText}`, kind));
  const told = [`${took.toFixed(0)} ms`];
  for (const name of ["Plait-Completed", "Plait-Cache", "Plait-Execution-Id"]) {
    const value = response.headers.get(name);
    if (value !== null) told.push(`${name}: ${value}`);
  }
  line.append(element("small", `  ${told.join(" · ")}`));
  made.append(line);
  const timing = response.headers.get("Server-Timing");
  if (timing) made.append(timeline(timing));
  if (text) {
    let pretty = text;
    try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON */ }
    made.append(element("pre", pretty));
  }
  return made;
}

async function send(form) {
  const answer = form.querySelector(".answer");
  const button = form.querySelector("button");
  const body = form.querySelector("textarea");
  const request = { method: form.dataset.method };
  if (body && body.value.trim()) {
    request.body = body.value;
    request.headers = { "content-type": "application/json" };
  }
  button.disabled = true;
  try {
    const began = performance.now();
    const response = await fetch(address(form), request);
    const text = await response.text();
    answer.replaceChildren(await shown(response, text, performance.now() - began));
  } catch (error) {
    answer.replaceChildren(element("div", `No answer: ${error.message}`, "status bad"));
  } finally {
    answer.hidden = false;
    button.disabled = false;
  }
}

for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
