// The blind test, and what reacts to keys, pointer and buttons.

// Chance of at least `right` of `trials` by guessing.
function pValue(right, trials) {
  let term = 0.5 ** trials, sum = 0;
  for (let k = 0; k <= trials; k++) {
    if (k >= right) sum += term;
    term *= (trials - k) / (k + 1);
  }
  return Math.min(1, sum);
}

class BlindTest {
  constructor(a, b) {
    Object.assign(this, { a, b, right: 0, trials: 0, gains: { a: 1, b: 1 } });
    this.draw();
  }

  draw() {
    this.x = crypto.getRandomValues(new Uint8Array(1))[0] & 1 ? "a" : "b";
    this.hears = "x";
  }

  get which() { return this.hears === "x" ? this.x : this.hears; }

  method() { return this[this.which]; }

  gain() { return this.gains[this.which]; }

  answer(choice) {
    const isRight = choice === this.x;
    this.trials += 1;
    this.right += Number(isRight);
    this.draw();
    return isRight;
  }

  get score() {
    const p = pValue(this.right, this.trials);
    return `${this.right} of ${this.trials} right; by guessing, as many or more happen with p = ${p < 0.001 ? p.toExponential(1) : p.toFixed(3)}.`;
  }
}

function startBlind() {
  const [a, b] = ["blind-a", "blind-b"].map((id) => Number(at(id).value));
  at("score").textContent = a === b ? "A and B are the same method: choose two." : "";
  if (a === b) return;
  player.open(player.clips[0].buffer.sampleRate); // by this click
  player.pause(); // until the levels are known
  blind = new BlindTest(a, b);
  showTrial();
  matchLevels().then(() => {
    if (!blind) return;
    if (!state.loop) setLoop(true);
    if (!player.isPlaying) togglePlay();
  });
}

// Lowers the louder of A and B, as loud as they are in the loop, or in the excerpt if the loop is too short to measure.
async function matchLevels() {
  const test = blind, spans = [...(state.region ? [state.region] : []), [0, player.duration]];
  let levels = [null, null];
  for (const span of spans) {
    levels = await Promise.all([test.a, test.b].map((method) => loudness(player.clips, levelOf(method), span)));
    if (!levels.includes(null)) break;
  }
  if (blind !== test) return;
  const lowest = Math.min(...levels), isKnown = !levels.includes(null);
  [test.gains.a, test.gains.b] = levels.map((level) => (isKnown ? 10 ** ((lowest - level) / 20) : 1));
  const by = Math.abs(levels[0] - levels[1]).toFixed(1);
  at("matched").textContent = isKnown ? `The louder of A and B is lowered by ${by} dB.`
    : "A and B play as they are: one is silent, or this is shorter than the 0.4 s in which loudness is measured.";
  apply();
}

function hear(which) {
  blind.hears = which;
  showTrial();
}

function answer(choice) {
  const isRight = blind.answer(choice);
  at("score").textContent = `${isRight ? "Right." : "Wrong."} ${blind.score}`;
  showTrial();
}

function stopBlind() {
  const { a, b, trials, score } = blind;
  blind = null;
  at("score").textContent = trials ? `${methods[a]} against ${methods[b]}: ${score}` : "";
  showTrial();
}

function showTrial() {
  at("trial").hidden = blind === null;
  if (blind) at("trial-number").textContent = `Trial ${blind.trials + 1}: is X the same as A, or as B?`;
  for (const element of document.querySelectorAll("[data-hear]")) {
    element.setAttribute("aria-pressed", String(blind?.hears === element.dataset.hear));
  }
  apply();
}

// Keys, as they are shown and as events name them; a key returns false when it is not one.
const KEYS = [
  ["Space", "play, pause", { " ": togglePlay }],
  ["\u2190 \u2192", "1 s back, on (with Shift: 0.1 s)", { ArrowLeft: (event) => move(event, -1), ArrowRight: (event) => move(event, 1) }],
  ["Home, End", "to the start, the end", { Home: () => player.seek(state.region?.[0] ?? 0), End: () => player.seek(player.duration - 0.02) }],
  ["\u2191 \u2193", "method above, below", { ArrowUp: () => step(-1), ArrowDown: () => step(1) }],
  [`0 \u2026 ${Math.min(9, methods.length - 1)}`, "method by number", {}],
  [letters.join(" ").toUpperCase(), "this stem alone (with Shift: mute it)", {}],
  ["L", "loop", { l: () => setLoop(!state.loop) }],
  ["[ ]", "start, end of the loop, here", { "[": () => mark(0), "]": () => mark(1) }],
  ["Z", "zoom into the loop", { z: () => setZoom(!state.isZoomed) }],
  ["Esc", "whole excerpt again", { Escape: () => setRegion(null) }],
  ["A B X, 1 2", "in a blind test: listen, answer", {}],
];
const ACTIONS = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

const move = (event, seconds) => player.seek(player.position + seconds * (event.shiftKey ? 0.1 : 1));
const step = (by) => chooseMethod(state.method + by);

function mark(side) {
  const region = [...(state.region ?? [0, player.duration])];
  region[side] = player.position;
  setRegion(region);
}

function onKey(event) {
  const isField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName ?? "");
  if (isField || event.ctrlKey || event.metaKey || event.altKey || !player.clips.length) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key, stem = letters.indexOf(key);
  if (blind && "abx".includes(key)) hear(key);
  else if (blind && "12".includes(key)) answer(key === "1" ? "a" : "b");
  else if (ACTIONS[key]) ACTIONS[key](event);
  else if (/^[0-9]$/.test(key)) chooseMethod(Number(key));
  else if (stem >= 0) (event.shiftKey ? toggleMute : toggleSolo)(stem);
  else return;
  event.preventDefault(); // the page does not scroll, and a focused button is pressed by Enter only
  tick();
}

// A click moves the playhead, a drag selects what is looped.
function onPointer(event) {
  if (event.button || !player.clips.length) return;
  const box = at("timeline").getBoundingClientRect(), [start, end] = view();
  const seconds = (x) => start + (end - start) * Math.max(0, Math.min(1, (x - box.left) / box.width));
  const from = event.clientX, drag = new AbortController(), { signal } = drag;
  const region = (x) => [seconds(Math.min(from, x)), seconds(Math.max(from, x))];
  at("timeline").setPointerCapture(event.pointerId);
  at("timeline").addEventListener("pointermove", (moved) => {
    if (Math.abs(moved.clientX - from) > 4 && !state.isZoomed) Object.assign(state, { region: region(moved.clientX) });
    tick();
  }, { signal });
  at("timeline").addEventListener("pointerup", (released) => {
    drag.abort();
    if (Math.abs(released.clientX - from) > 4 && !state.isZoomed) setRegion(region(released.clientX));
    else player.seek(seconds(released.clientX));
    tick();
  }, { signal });
  at("timeline").addEventListener("pointercancel", () => drag.abort(), { signal });
}

const isDark = matchMedia("(prefers-color-scheme: dark)");

function begin() {
  at("track").append(...tracks.map((track, index) => make("option", { value: index }, track.name)));
  for (const id of ["blind-a", "blind-b"]) {
    at(id).append(...methods.map((name, method) => make("option", { value: method }, name)).slice(REFERENCE));
  }
  [at("blind-a").value, at("blind-b").value] = methods.length > 3 ? [2, 3] : [1, 2];
  at("keys").append(...KEYS.map(([keys, what]) => make("div", {}, make("dt", {}, make("kbd", {}, keys)), make("dd", {}, what))));
  const clicks = {
    play: togglePlay, loop: () => setLoop(!state.loop), zoom: () => setZoom(!state.isZoomed), whole: () => setRegion(null),
    "blind-start": startBlind, "blind-stop": stopBlind,
  };
  for (const [id, action] of Object.entries(clicks)) at(id).addEventListener("click", action);
  for (const each of document.querySelectorAll("[data-hear]")) each.addEventListener("click", () => hear(each.dataset.hear));
  for (const each of document.querySelectorAll("[data-answer]")) each.addEventListener("click", () => answer(each.dataset.answer));
  at("track").addEventListener("change", (event) => open(Number(event.target.value)));
  at("volume").addEventListener("input", (event) => player.setVolume(event.target.value ** 2));
  at("timeline").addEventListener("pointerdown", onPointer);
  addEventListener("keydown", onKey);
  addEventListener("keyup", (event) => event.key === " " && event.target.tagName === "BUTTON" && event.preventDefault());
  addEventListener("resize", show);
  isDark.addEventListener("change", show);
  player.onend = show;
  const frame = () => {
    if (player.isPlaying) tick();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  return open(0);
}

async function open(index) {
  if (!window.AudioContext || !window.OfflineAudioContext) {
    complain("This browser has no Web Audio, with which this page plays and draws: open it in a current one.");
    return;
  }
  try {
    await loadTrack(index);
  } catch (error) {
    complain(`The audio of ${tracks[index].name} cannot be decoded: ${error.message}`);
  }
}

const ready = begin();
