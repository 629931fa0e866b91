// The listening page: what is chosen, what its buttons and keys do, and what it shows.

const MIXTURE = 0, REFERENCE = 1; // indices of methods
const CHANNELS = { 1: "mono", 2: "stereo" };
const content = JSON.parse(document.getElementById("content").textContent);
const { methods, sources, tracks } = content;
const at = (id) => document.getElementById(id);
const player = new Player();
const state = { track: 0, method: REFERENCE, muted: new Set(), solo: null, loop: false, region: null, isZoomed: false };
let blind = null; // the test that is under way, see listen_blind.js
let picture = { samples: null, loudest: 0, drawn: "" };

// Makes an element; attributes whose value is null are left out, text is never markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const button = (label, attributes, onclick, ...children) => {
  const element = make("button", { type: "button", "aria-label": label, ...attributes }, ...children);
  element.addEventListener("click", onclick);
  return element;
};

const clock = (seconds) => `${Math.floor(seconds / 60)}:${(Math.floor(seconds * 10) / 10 % 60).toFixed(1).padStart(4, "0")}`;
const decibels = (level) => (level > 1e-6 ? `${(20 * Math.log10(level)).toFixed(1)} dB`.replace("-", "\u2212") : "\u2212\u221e dB");
const has = (method, stem) => player.clips.some((clip) => clip.method === method && clip.stem === stem);
const isOn = (stem) => (state.solo === null ? !state.muted.has(stem) : state.solo === stem);
const current = () => (blind ? blind.method() : state.method);
const levelOf = (method, gain = 1) => (clip) => (clip.method === method && (method === MIXTURE || isOn(clip.stem)) ? gain : 0);

// A letter for each stem: the first of its name that is free, and does not stand for a control.
const letters = sources.reduce((taken, name) => {
  const free = [...name.toLowerCase(), ..."abcdefghijkmnopqrstuvwxy"].find((c) => /[a-z]/.test(c) && !"lz".includes(c) && !taken.includes(c));
  return [...taken, free ?? ""];
}, []);

// Puts the state into the audio at once, then into the page.
function apply() {
  player.setLevels(levelOf(current(), blind?.gain()));
  show();
}

function chooseMethod(method) {
  if (blind || !methods[method]) return;
  state.method = method;
  apply();
}

function toggleSolo(stem) {
  if (blind) return;
  state.solo = state.solo === stem ? null : stem;
  apply();
}

function toggleMute(stem) {
  if (blind) return;
  if (!state.muted.delete(stem)) state.muted.add(stem);
  state.solo = null;
  apply();
}

function chooseCell(method, stem) {
  [state.method, state.solo] = [method, stem];
  apply();
}

function togglePlay() {
  if (player.isPlaying) player.pause();
  else player.play();
  if (player.isPlaying) watchSound();
  show();
}

function setRegion(region) {
  const isLong = region && region[1] - region[0] >= 0.05;
  state.region = isLong ? [Math.max(0, region[0]), Math.min(player.duration, region[1])] : null;
  if (!state.region) state.isZoomed = false;
  if (state.region) state.loop = true;
  setLoop(state.loop);
  if (blind) matchLevels();
}

function setLoop(isOn) {
  state.loop = isOn;
  player.setRegion(isOn ? state.region ?? [0, player.duration] : null);
  show();
}

function setZoom(isZoomed) {
  state.isZoomed = isZoomed && state.region !== null;
  show();
}

const view = () => (state.isZoomed ? state.region : [0, player.duration]);

// Says so when there is no sound: the time of a context stands still without an output device.
function watchSound() {
  const context = player.context, before = context.currentTime;
  setTimeout(() => {
    if (player.isPlaying && context.currentTime === before) complain(`No sound: this browser has no output for it (its audio is ${context.state}).`);
    else complain("");
  }, 1500);
}

function complain(text) {
  at("alert").textContent = text;
  at("alert").hidden = !text;
}

async function loadTrack(index) {
  player.halt();
  complain("");
  const track = tracks[index];
  Object.assign(state, { track: index, region: null, isZoomed: false });
  Object.assign(player, { clips: [], offset: 0, region: null });
  at("play").disabled = true;
  at("about").textContent = `${track.seconds.toFixed(1)} s of ${track.name}, from ${clock(track.start)}. ${track.rate} Hz, ` +
    `${CHANNELS[track.channels] ?? `${track.channels} channels`}, ${content.format}. Decoding\u2026`;
  const elements = [...document.querySelectorAll(`script[id^="clip-${index}-"]`)];
  const clips = await Promise.all(elements.map(async (element) => {
    const [, , method, stem] = element.id.split("-").map(Number);
    return { method, stem, buffer: await decode(element.textContent, track.rate) };
  }));
  if (state.track !== index) return; // another was chosen meanwhile
  player.clips = clips;
  player.level = levelOf(current());
  const mixture = heard(clips, levelOf(MIXTURE));
  const bands = await spectrogram(mixture, 0, mixture.length, track.rate);
  picture = { samples: null, loudest: bands.reduce((a, b) => Math.max(a, b)), drawn: "" };
  at("about").textContent = at("about").textContent.replace(" Decoding\u2026", "");
  at("play").disabled = false;
  buildMatrix();
  setLoop(state.loop);
}

// A row per method, a column per stem.
function buildMatrix() {
  const matrix = at("matrix");
  matrix.style.setProperty("--stems", sources.length);
  const heads = sources.map((name, stem) => make("div", { class: "stem", role: "group", "aria-label": name },
    make("span", { title: name }, name, " ", make("kbd", { "aria-hidden": "true" }, letters[stem].toUpperCase())),
    make("span", { class: "bar", "aria-hidden": "true" }, make("i", { id: `bar-${stem}` })),
    make("div", {},
      button(`solo ${name}`, { "data-solo": stem, title: "Solo" }, () => toggleSolo(stem), "Solo"),
      button(`mute ${name}`, { "data-mute": stem, title: "Mute" }, () => toggleMute(stem), "Mute"))));
  const rows = methods.map((name, method) => make("div", { class: "row", role: "group", "aria-label": name },
    button(name, { class: "name", "data-method": method, title: name }, () => chooseMethod(method),
      ...(method < 10 ? [make("kbd", { "aria-hidden": "true" }, String(method))] : []), make("b", {}, name)),
    ...(method === MIXTURE ? [make("span", { class: "absent whole" }, "all stems together, as recorded")] : sources.map((_, stem) => cell(method, stem)))));
  matrix.replaceChildren(make("div", { class: "row" }, make("span", { class: "corner" }), ...heads), ...rows);
}

function cell(method, stem) {
  const sdr = tracks[state.track].sdr[method - REFERENCE - 1]?.[stem];
  if (!has(method, stem)) return make("span", { class: "absent", title: `${methods[method]} has no ${sources[stem]}` }, "absent");
  const text = method === REFERENCE ? "listen" : sdr == null ? "\u2013" : sdr.toFixed(1).replace("-", "\u2212");
  const label = `${methods[method]}, ${sources[stem]} alone${sdr == null ? "" : `, SDR ${sdr} dB`}`;
  return button(label, { class: "cell", "data-cell": `${method}-${stem}` }, () => chooseCell(method, stem), text);
}

// Updates everything that the state decides.
function show() {
  at("what").textContent = blind ? blind.hears.toUpperCase() : methods[state.method];
  const shown = sources.map((_, stem) => stem).filter(isOn), present = shown.filter((stem) => has(current(), stem));
  const lacking = shown.filter((stem) => !present.includes(stem)).map((stem) => sources[stem]);
  const names = present.length === sources.length ? "all stems" : present.map((stem) => sources[stem]).join(", ") || "silence";
  const isWhole = current() === MIXTURE && !blind;
  at("which").textContent = isWhole ? "" : blind ? "" : lacking.length ? `${names}; it has no ${lacking.join(", ")}` : names;
  at("play").textContent = player.isPlaying ? "Pause" : "Play";
  const press = (element, isPressed) => element.setAttribute("aria-pressed", String(isPressed));
  press(at("loop"), state.loop);
  press(at("zoom"), state.isZoomed);
  at("zoom").disabled = at("whole").disabled = !state.region;
  for (const element of document.querySelectorAll("[data-method]")) press(element, Number(element.dataset.method) === state.method);
  for (const element of document.querySelectorAll("[data-cell]")) press(element, element.dataset.cell === `${state.method}-${state.solo}`);
  for (const element of document.querySelectorAll("[data-solo]")) press(element, Number(element.dataset.solo) === state.solo);
  for (const element of document.querySelectorAll("[data-mute]")) press(element, state.muted.has(Number(element.dataset.mute)));
  for (const id of ["choice", "setup", "level"]) at(id).hidden = blind !== null;
  at("track").disabled = blind !== null;
  if (player.clips.length) setTimeout(drawPicture);
  tick();
}

// What is drawn: what is heard; during a blind test the mixture, as the picture would tell which method X is.
const drawnMethod = () => (blind ? MIXTURE : state.method);
const pictureKey = () => [state.track, drawnMethod(), drawnMethod() === MIXTURE ? "" : sources.map((_, stem) => isOn(stem)), view(),
  at("wave").clientWidth, isDark.matches].join();

async function drawPicture() {
  const method = drawnMethod(), [start, end] = view(), key = pictureKey();
  if (picture.drawn === key) return;
  picture.drawn = key;
  const rate = player.clips[0].buffer.sampleRate, samples = heard(player.clips, levelOf(method)), canvas = at("wave");
  [canvas.width, canvas.height] = [canvas.clientWidth * devicePixelRatio, canvas.clientHeight * devicePixelRatio];
  drawWaveform(canvas, samples, start * rate, end * rate);
  drawRuler(start, end);
  const bands = await spectrogram(samples, start * rate, end * rate, rate, () => picture.drawn === key);
  if (!bands) return; // another one is being drawn
  drawSpectrogram(at("spectrum"), bands, picture.loudest);
  picture.done = key;
}

function drawRuler(start, end) {
  const rate = tracks[state.track].rate, pitches = [[100, "100 Hz"], [1000, "1 kHz"], [10000, "10 kHz"]];
  at("pitches").replaceChildren(...pitches.filter(([hertz]) => hertz < rate / 2)
    .map(([hertz, text]) => make("span", { style: `bottom: ${100 * height(hertz, rate)}%` }, text)));
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120].find((size) => (end - start) / size <= at("ruler").clientWidth / 65) ?? 300;
  const marks = [];
  for (let i = Math.ceil(start / step - 1e-9); i * step < end - step / 3; i++) {
    const text = step < 1 ? (i * step).toFixed(step < 0.1 ? 2 : 1) : clock(i * step).replace(".0", "");
    marks.push(make("span", { style: `left: ${(100 * (i * step - start)) / (end - start)}%` }, text));
  }
  at("ruler").replaceChildren(...marks);
}

// Moves playhead, times and levels; runs with the frames of the screen while playing.
function tick() {
  const position = player.position, [start, end] = view(), percent = (seconds) => (100 * (seconds - start)) / Math.max(end - start, 1e-9);
  at("playhead").style.left = `${percent(position)}%`;
  at("playhead").hidden = position < start || position > end;
  at("region").hidden = !state.region || state.isZoomed;
  if (state.region) Object.assign(at("region").style, { left: `${percent(state.region[0])}%`, width: `${percent(state.region[1]) - percent(state.region[0])}%` });
  at("time").textContent = `${clock(position)} / ${clock(player.duration)}`;
  const slider = at("timeline");
  slider.setAttribute("aria-valuemax", player.duration.toFixed(1));
  slider.setAttribute("aria-valuenow", position.toFixed(1));
  slider.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${player.duration.toFixed(1)} seconds`);
  const peak = player.peak(), width = (level) => `${Math.max(0, Math.min(100, 100 + (100 / 60) * 20 * Math.log10(level + 1e-9)))}%`;
  at("peak").textContent = decibels(peak);
  document.querySelector("#level i").style.width = width(peak);
  sources.forEach((_, stem) => {
    const clip = player.isPlaying && player.clips.find((each) => each.method === Math.max(current(), REFERENCE) && each.stem === stem);
    if (at(`bar-${stem}`)) at(`bar-${stem}`).style.width = width(clip && (isOn(stem) || current() === MIXTURE) ? rms(clip.buffer, position) : 0);
  });
}

function rms(buffer, position) {
  const first = Math.round(position * buffer.sampleRate), part = buffer.getChannelData(0).subarray(first, first + 2048);
  return Math.sqrt(part.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(part.length, 1));
}
