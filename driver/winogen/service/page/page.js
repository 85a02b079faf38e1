"use strict";
/* The page of winogen serve. It asks this service alone, and shows exactly what it is given: images
 * come as arrays of pixels (npy), and are drawn without smoothing. */

const $ = (id) => document.getElementById(id);
const MOST_SLIDERS = 8;
let token = sessionStorage.getItem("token") || "";
let programs = [];
let program = null;
let asked = 0; // the latest request that was sent; older answers are not shown
let busy = false, again = false;
let frames = [], playing = false, frame = 0, timer = 0;
let picture = null;

/* --- asking --------------------------------------------------------------------------------- */

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  let text = `${answer.status}`;
  try { text = (await answer.json()).error; } catch { /* no sentence came along */ }
  if (answer.status === 401) { lock(); text = "This service wants a token."; }
  const error = new Error(text);
  error.wait = Number(answer.headers.get("Retry-After")) || 0;
  throw error;
}

function say(text) { $("problem").textContent = text; $("problem").hidden = !text; }

function lock() { $("locked").hidden = false; $("play").hidden = true; $("token").focus(); }

/* An array in numpy's format: its shape and its bytes. */
function readArray(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const wide = bytes[6] > 1;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (wide ? 12 : 10) + length;
  const header = new TextDecoder().decode(bytes.subarray(wide ? 12 : 10, start));
  const shape = header.match(/\(([^)]*)\)/)[1].split(",").filter((t) => t.trim()).map(Number);
  return { shape, bytes: bytes.subarray(start) };
}

/* --- what is asked -------------------------------------------------------------------------- */

const whole = (id) => {
  const input = $(id), value = Math.round(Number(input.value));
  return Math.min(Math.max(value || 0, Number(input.min)), Number(input.max));
};

function wishes() {
  const seed = whole("seed");
  const moves = [...document.querySelectorAll("#sliders input")].map((s) => Number(s.value));
  while (moves.length && !moves[moves.length - 1]) moves.pop();
  const body = { seeds: Array.from({ length: whole("count") }, (_, n) => seed + n) };
  if (moves.length) body.moves = moves;
  if (Number($("truncate").value) < Number($("truncate").max)) {
    body.truncate = Number($("truncate").value);
  }
  if (!$("labelled").hidden && $("label").value !== "") body.labels = [Number($("label").value)];
  return body;
}

function walkWishes() {
  const body = wishes();
  const seed = whole("seed");
  body.seeds = Array.from({ length: whole("keys") }, (_, n) => seed + n);
  body.walk = { steps: whole("steps"), loop: true, fps: whole("fps") };
  return body;
}

async function generate(body) {
  const own = program;
  const answer = await ask(`generate/${program.name}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  own.ran = true;
  return answer;
}

/* --- showing -------------------------------------------------------------------------------- */

/* Images (N, H, W, C) beside each other, as a sheet; from and count choose some of them. */
function draw(array, from = 0, count = array.shape[0]) {
  const [, height, width, channels] = array.shape;
  const columns = Math.ceil(Math.sqrt(count)), rows = Math.ceil(count / columns), gap = 1;
  const canvas = $("canvas");
  canvas.width = columns * (width + gap) - gap;
  canvas.height = rows * (height + gap) - gap;
  const page = new ImageData(canvas.width, canvas.height);
  for (let n = 0; n < count; n++) {
    const left = (n % columns) * (width + gap), top = Math.floor(n / columns) * (height + gap);
    let at = (from + n) * height * width * channels;
    for (let y = 0; y < height; y++) {
      let to = 4 * ((top + y) * canvas.width + left);
      for (let x = 0; x < width; x++, to += 4, at += channels) {
        for (let c = 0; c < 3; c++) page.data[to + c] = array.bytes[at + (channels === 3 ? c : 0)];
        page.data[to + 3] = 255;
      }
    }
  }
  canvas.getContext("2d").putImageData(page, 0, 0);
  canvas.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
}

function took(answer, begin) {
  const parts = Object.fromEntries((answer.headers.get("Server-Timing") || "").split(", ")
    .map((part) => part.split(";dur=")));
  const all = performance.now() - begin;
  $("took").textContent = `${all.toFixed(0)} ms, device ${Number(parts.device || 0).toFixed(1)} ms`;
}

/* One request at a time: what changes meanwhile is asked once, when the answer is there. */
async function show() {
  if (!program || program.takes_pictures) return;
  if (!program.output.picture) {
    $("canvas").width = $("canvas").height = 1;
    $("caption").textContent = "The output of this program is no picture: its values come as npy.";
    return;
  }
  if (busy) { again = true; return; }
  busy = true;
  const number = ++asked;
  try {
    const begin = performance.now();
    const body = wishes();
    const answer = await generate({ ...body, format: "npy" });
    const array = readArray(await answer.arrayBuffer());
    took(answer, begin);
    if (number === asked && !playing) {
      draw(array);
      const last = body.seeds[body.seeds.length - 1];
      $("caption").textContent = body.seeds.length > 1 ? `seeds ${body.seeds[0]} to ${last}`
        : `seed ${last}`;
    }
    say("");
    later();
  } catch (error) {
    say(error.message);
    if (error.wait) setTimeout(show, 1000 * error.wait);
  }
  busy = false;
  if (again) { again = false; show(); }
}

async function play() {
  if (playing) { stop(); show(); return; }
  $("walk").disabled = true;
  try {
    const begin = performance.now();
    const answer = await generate({ ...walkWishes(), format: "npy" });
    frames = readArray(await answer.arrayBuffer());
    took(answer, begin);
    playing = true;
    frame = 0;
    $("walk").textContent = "⏸ Stop";
    $("walk").setAttribute("aria-pressed", "true");
    say("");
    next();
    later();
  } catch (error) { say(error.message); }
  $("walk").disabled = false;
}

function next() {
  if (!playing) return;
  const count = frames.shape[0];
  draw(frames, frame, 1);
  $("caption").textContent = `a walk: frame ${frame + 1} of ${count}`;
  frame = (frame + 1) % count;
  timer = setTimeout(next, 1000 / whole("fps"));
}

function stop() {
  playing = false;
  clearTimeout(timer);
  $("walk").textContent = "▶ Walk";
  $("walk").setAttribute("aria-pressed", "false");
}

async function download(format) {
  try {
    let answer;
    if (program.takes_pictures) {
      if (!picture) { say("Choose a picture first."); return; }
      if (format === "gif") return;
      answer = await ask(`pictures/${program.name}?format=${format}`, { method: "POST", body: picture });
    } else {
      const moves = playing || format === "gif";
      const body = moves ? walkWishes() : wishes();
      answer = await generate({ ...body, format, scale: moves || format === "npy" ? 1 : 4 });
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `${program.name}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say("");
  } catch (error) { say(error.message); }
}

async function send(file) {
  if (!file) return;
  picture = file;
  try {
    $("caption").textContent = "…";
    const begin = performance.now();
    const answer = await ask(`pictures/${program.name}?format=npy`, { method: "POST", body: file });
    const array = readArray(await answer.arrayBuffer());
    took(answer, begin);
    draw({ shape: [1, ...array.shape], bytes: array.bytes });
    $("caption").textContent = `${array.shape[1]} x ${array.shape[0]} pixels`;
    say("");
    later();
  } catch (error) { say(error.message); $("caption").textContent = ""; }
}

/* --- numbers -------------------------------------------------------------------------------- */

const rate = (value) => (value
  ? `${Number(value.toPrecision(3)).toLocaleString("en")} images/s` : "–");

async function numbers() {
  try {
    const found = await (await ask(`programs/${program.name}`)).json();
    $("predicted").textContent = rate(found.images_per_second.predicted);
    $("measured").textContent = rate(found.images_per_second.measured);
    $("waiting").textContent = (await (await ask("health")).json()).waiting;
  } catch { /* the next look may find it */ }
}

async function timeline() {
  if (!program || !program.ran) { // of what nobody has asked for there is none
    $("timeline").replaceChildren();
    $("timed").textContent = "";
    return;
  }
  try {
    const text = await (await ask(`timeline/${program.name}`)).text();
    const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    $("timeline").replaceChildren(document.importNode(svg, true));
    $("timed").textContent = svg.getAttribute("aria-label");
  } catch { /* the next look may find it */ }
}

/* After the hand has been still for a moment. */
let soon = 0;
function later() {
  clearTimeout(soon);
  soon = setTimeout(() => { numbers(); timeline(); }, 400);
}

/* --- the page ------------------------------------------------------------------------------- */

function choose(name) {
  stop();
  program = programs.find((p) => p.name === name) || programs[0];
  $("program").value = program.name;
  const shape = program.output.shape;
  $("about").textContent = `${program.network} on ${program.board}, ${program.data_width} bits, `
    + `${shape[2]} x ${shape[1]} pixels, batches of ${program.batch}`;
  $("latents").hidden = !program.takes_latents;
  $("walkbar").hidden = $("gif").hidden = !program.takes_latents || !program.output.picture;
  $("pictures").hidden = !program.takes_pictures;
  picture = null;
  $("caption").textContent = "";
  $("told").textContent = program.directions_are
    ? program.directions_are[0].toUpperCase() + program.directions_are.slice(1) + "." : "";
  const sliders = [];
  for (let n = 0; n < Math.min(program.directions, MOST_SLIDERS); n++) {
    const line = document.createElement("div");
    line.className = "slider";
    line.innerHTML = `<label for="d${n}">Direction ${n + 1}</label>`
      + `<input type="range" id="d${n}" min="-4" max="4" step="0.1" value="0">`
      + `<output for="d${n}">0.0</output>`;
    const input = line.querySelector("input"), output = line.querySelector("output");
    input.addEventListener("input", () => {
      output.textContent = Number(input.value).toFixed(1);
      if (playing) stop();
      show();
    });
    sliders.push(line);
  }
  $("sliders").replaceChildren(...sliders);
  const part = program.input.parts.find((p) => p.kind === "label");
  $("labelled").hidden = !part;
  if (part) {
    const options = [new Option("drawn by the seed", "")];
    for (let n = 0; n < part.channels; n++) options.push(new Option(part.classes[n] || n, n));
    $("label").replaceChildren(...options);
  }
  show();
  numbers();
  timeline();
}

function reset() {
  for (const slider of document.querySelectorAll("#sliders .slider")) {
    slider.querySelector("input").value = 0;
    slider.querySelector("output").textContent = "0.0";
  }
  if (playing) stop();
  show();
}

function dice() {
  $("seed").value = Math.floor(Math.random() * 100000);
  if (playing) stop();
  show();
}

/* The program that the address names; none where it is no such text. */
function hash() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

async function open() {
  try {
    programs = (await (await ask("programs")).json()).programs;
  } catch (error) { say(error.message); return; }
  say("");
  $("locked").hidden = true;
  $("play").hidden = false;
  $("program").replaceChildren(...programs.map((p) => new Option(p.name, p.name)));
  choose(hash());
  document.body.dataset.ready = "yes";
}

$("program").addEventListener("change", () => {
  location.hash = $("program").value;
  choose($("program").value);
});
$("locked").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("token", token);
  open();
});
for (const id of ["seed", "count", "label"]) {
  $(id).addEventListener("input", () => { if (playing) stop(); show(); });
}
$("truncate").addEventListener("input", () => {
  const input = $("truncate");
  $("truncated").textContent = input.value === input.max ? "none" : `${input.value} σ`;
  if (playing) stop();
  show();
});
$("walk").addEventListener("click", play);
$("dice").addEventListener("click", dice);
$("reset").addEventListener("click", reset);
$("file").addEventListener("change", () => send($("file").files[0]));
for (const button of document.querySelectorAll("[data-format]")) {
  button.addEventListener("click", () => download(button.dataset.format));
}
const drop = $("stage");
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    if (!program || !program.takes_pictures) return;
    event.preventDefault();
    drop.classList.toggle("drop", name === "dragover");
    if (name === "drop") send(event.dataTransfer.files[0]);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !program || !program.takes_latents) return;
  const on = document.activeElement;
  if (on && ["INPUT", "SELECT", "BUTTON"].includes(on.tagName) && on.type !== "range") return;
  if (event.key === " " && program.output.picture) { event.preventDefault(); play(); }
  else if (event.key === "r" || event.key === "R") dice();
  else if (event.key === "0") reset();
});
document.addEventListener("visibilitychange", () => { if (document.hidden && playing) stop(); });
setInterval(() => { if (program && !document.hidden) numbers(); }, 5000);
open();
